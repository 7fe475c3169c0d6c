from __future__ import annotations

from uuid import uuid4

import pytest
from prefect import flow
from prefect.exceptions import ParameterTypeError
from prefect.utilities.schema_tools.validation import ValidationError as SchemaError
from prefect.utilities.schema_tools.validation import validate
from pydantic import Field, ValidationError

from skald_bridge.authoring import Attachments, task_type
from skald_bridge.authoring.problems import describe


class Stage(Attachments):
    fail_chance: float = Field(0.1, ge=0, le=1)


class Camera(Attachments):
    """A camera to record."""

    rtsp_url: str = Field(description="Where frames come from.")
    name: str
    fix_frame: int = Field(30, description="Frames a second.", ge=1)
    sub_tasks: list[Stage] = Field(default=[])


@task_type(name="record-a-camera")
def record(attachments: Camera) -> int:
    return attachments.fix_frame


OK = {"rtspUrl": "x", "name": "a"}


def schema() -> dict[str, object]:
    return record.parameters.model_dump()


@pytest.mark.parametrize(
    "given",
    [
        {"rtspUrl": "rtsp://x", "name": "a", "fixFrame": 7, "subTasks": [{"failChance": 0.5}]},
        {"rtsp_url": "rtsp://x", "name": "a", "fix_frame": 7, "sub_tasks": [{"fail_chance": 0.5}]},
        {"rtspUrl": "rtsp://x", "name": "a", "fix_frame": 7, "sub_tasks": [{"failChance": 0.5}]},
    ],
)
def test_both_spellings_pass_the_model_the_flow_and_the_server(given: dict[str, object]) -> None:
    direct = Camera.model_validate(given)
    assert direct.model_dump() == {
        "rtspUrl": "rtsp://x",
        "name": "a",
        "fixFrame": 7,
        "subTasks": [{"failChance": 0.5}],
    }
    assert record.validate_parameters({"attachments": given}) == {"attachments": direct}
    validate({"attachments": given}, schema(), raise_on_error=True)


def test_prefect_stores_the_camel_case_names() -> None:
    camera = Camera(rtsp_url="rtsp://x", name="a")
    stored = record.serialize_parameters({"attachments": camera})
    assert stored["attachments"]["rtspUrl"] == "rtsp://x"
    assert record.validate_parameters(stored) == {"attachments": camera}


def test_an_unknown_field_is_named_by_the_flow_and_by_the_server() -> None:
    given = {"rtspUrl": "rtsp://x", "name": "a", "fixFrames": 1}
    with pytest.raises(ParameterTypeError, match="fixFrames"):
        record.validate_parameters({"attachments": given})
    with pytest.raises(SchemaError, match="fixFrames"):
        validate({"attachments": given}, schema(), raise_on_error=True)


def test_a_missing_field_is_named_by_its_alias() -> None:
    with pytest.raises(SchemaError, match="'rtspUrl' is a required property"):
        validate({"attachments": {"name": "a"}}, schema(), raise_on_error=True)
    with pytest.raises(SchemaError, match="'name' is a required property"):
        validate({"attachments": {"rtsp_url": "rtsp://x"}}, schema(), raise_on_error=True)


def test_the_server_checks_types_in_both_spellings() -> None:
    for key in ("fixFrame", "fix_frame"):
        given = {"rtspUrl": "rtsp://x", "name": "a", key: "many"}
        with pytest.raises(SchemaError, match="many"):
            validate({"attachments": given}, schema(), raise_on_error=True)


def test_a_deployment_may_leave_required_fields_open() -> None:
    validate({"attachments": {"fixFrame": 3}}, schema(), raise_on_error=True, ignore_required=True)


def test_the_form_shows_each_field_once_with_type_description_and_default() -> None:
    definition = record.parameters.definitions["Camera"]
    assert list(definition["properties"]) == ["rtspUrl", "name", "fixFrame", "subTasks"]
    assert definition["properties"]["fixFrame"] == {
        "type": "integer",
        "title": "Fix Frame",
        "description": "Frames a second.",
        "default": 30,
        "minimum": 1,
    }
    assert definition["description"] == "A camera to record."


def test_the_form_shows_the_lists_and_models_that_a_factory_makes() -> None:
    class Made(Attachments):
        heights: list[int] = Field(default_factory=lambda: [720, 480])
        first_stage: Stage = Field(default_factory=Stage)
        token: str = Field(default_factory=lambda: uuid4().hex)
        moments: list[str] = Field(default_factory=lambda: [uuid4().hex])

    shown = Made.model_json_schema()["properties"]
    assert shown["heights"]["default"] == [720, 480]
    assert shown["firstStage"]["default"] == {"failChance": 0.1}
    assert "default" not in shown["token"] and "default" not in shown["moments"]


def test_a_model_of_single_words_keeps_the_plain_schema() -> None:
    class Plain(Attachments):
        url: str

    @flow
    def plain(attachments: Plain) -> None: ...

    definition = plain.parameters.model_dump()["definitions"].get("Plain") or Plain.model_json_schema()
    assert definition["required"] == ["url"]
    assert "patternProperties" not in definition


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"rtspUrl": "x", "name": "a", "fixFrames": 1},
            "unknown field 'fixFrames', did you mean 'fixFrame'?",
        ),
        (
            {"rtspUrl": "x", "name": "a", "zzz": 1},
            "unknown field 'zzz', known are: rtspUrl, name, fixFrame, subTasks",
        ),
        ({"name": "a"}, "rtspUrl: required, but not given"),
        (
            {"rtspUrl": "x", "name": "a", "fixFrame": "many"},
            "fixFrame: Input should be a valid integer, unable to parse string as an integer (got 'many')",
        ),
        ({"rtspUrl": "x", "name": "a", "subTasks": [{"boo": 1}]}, "unknown field 'subTasks.0.boo'"),
    ],
)
def test_problems_are_told_in_one_line(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Camera.model_validate(given)
    assert describe(caught.value, Camera) == said
