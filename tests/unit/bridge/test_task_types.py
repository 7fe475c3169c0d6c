"""Task types as their deployments' parameter schemas tell them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, Field

from skald_bridge.authoring import CAN_CHANGE, Attachments, Needs, task_type
from skald_bridge.domain.task_types import deployed_type


class Inner(Attachments):
    x: int = 0


class TaskFilter(Attachments):
    """What is wanted."""

    input_url: str = Field(description="Where from.")
    frame_rate: int = Field(25, ge=1, le=120, json_schema_extra=CAN_CHANGE)
    look: Literal["none", "grey"] = "none"
    length: Annotated[float, Field(gt=0)] | None = None
    heights: list[int] = Field(default_factory=lambda: [1080])
    inner: Inner = Field(default_factory=Inner)


def of(flow: Any, **said: Any) -> Any:
    schema = parameter_schema(flow.fn).model_dump_for_openapi()
    return deployed_type(
        flow.name, [{"name": "d", "parameter_openapi_schema": schema, **said}], ("cpus", "gpus")
    )


def test_fields_of_a_task_type() -> None:
    @task_type(name="T", needs=Needs(cpus=2, gpu_memory="1GiB"))
    def flow(attachments: TaskFilter) -> None: ...

    found = of(flow)
    told = {
        field.name: (field.type, field.required, field.default, field.can_change) for field in found.fields
    }
    assert told == {
        "inputUrl": ("string", True, None, False),
        "frameRate": ("integer, 1…120", False, 25, True),
        "look": ('"none" or "grey"', False, "none", False),
        "length": ("number, > 0 or null", False, None, False),
        "heights": ("list of integer", False, [1080], False),
        "inner": ("Inner", False, {"x": 0}, False),
    }
    assert found.fields[0].description == "Where from."
    assert found.needs == {"cpus": 2, "gpus": 1, "gpu_memory": 2**30}
    assert flow.fn(TaskFilter(input_url="a")) is None
    assert flow.validate_parameters({"attachments": {"inputUrl": "a"}})["attachments"].frame_rate == 25


def test_a_type_that_says_nothing_of_needs_and_changes() -> None:
    @task_type
    def plain(attachments: Inner) -> None: ...

    found = of(plain)
    assert (found.needs, [field.can_change for field in found.fields]) == ({}, [None])


def test_deployments_say_where_it_runs() -> None:
    @task_type
    def plain(attachments: Inner) -> None: ...

    found = of(
        plain,
        work_pool_name="gpu",
        work_queue_name="default",
        paused=True,
        job_variables={"gpus": 2, "env": {"A": "b"}, "cpus": None},
        parameters={"attachments": {"x": 3}},
    )
    (only,) = found.deployments
    assert (only.pool, only.queue, only.paused) == ("gpu", "default", True)
    assert (only.needs, only.defaults) == ({"gpus": 2}, {"x": 3})


class Plain(BaseModel):
    n: int


def test_a_flow_with_parameters_of_its_own() -> None:
    from prefect import flow

    @flow
    def other(a: int, b: str = "x", c: Any = None) -> None: ...

    assert [(field.name, field.type, field.required) for field in of(other).fields] == [
        ("a", "integer", True),
        ("b", "string", False),
        ("c", "anything", False),
    ]

    @flow
    def nothing() -> None: ...

    assert of(nothing).fields == ()


@pytest.mark.parametrize(
    "schema",
    [None, {}, {"properties": None}, {"properties": {"a": 3}}, {"properties": {"a": {"$ref": "#/x/Y"}}}],
)
def test_schemas_that_others_wrote(schema: Any) -> None:
    found = deployed_type("T", [{"name": "d", "parameter_openapi_schema": schema}], ())
    assert all(field.type == "anything" for field in found.fields)
