"""``@task_type``: a function over one attachments model becomes a Prefect flow that declares its needs."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ParamSpec, TypedDict, TypeVar, Unpack, get_args, get_origin, overload

from prefect import Flow, flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.results import ResultSerializer, ResultStorage
from prefect.task_runners import TaskRunner
from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from skald_bridge.authoring.defaults import let_be_left_out
from skald_bridge.domain.task_types import NEEDS
from skald_work_pools.needs import Needs
from skald_work_pools.task_type import STARTS, Start, TaskType, declare

P = ParamSpec("P")
R = TypeVar("R")
Hook = Callable[[Flow[..., Any], FlowRun, State[Any]], Awaitable[None] | None]


class _Told:
    """Puts the needs into the deployment's parameter schema, where they can be read without the code."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs.model_dump(mode="json", exclude_defaults=True)

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), NEEDS: self._needs}


class FlowOptions(TypedDict, total=False):
    """Prefect's own options of a flow, passed on as they are."""

    version: str | None
    flow_run_name: Callable[[], str] | str | None
    task_runner: TaskRunner[Any] | None
    description: str | None
    timeout_seconds: float | None
    validate_parameters: bool
    persist_result: bool | None
    result_storage: ResultStorage | str | None
    result_serializer: ResultSerializer | str | None
    cache_result_in_memory: bool
    log_prints: bool | None
    on_completion: list[Hook] | None
    on_failure: list[Hook] | None
    on_cancellation: list[Hook] | None
    on_crashed: list[Hook] | None
    on_running: list[Hook] | None


@overload
def task_type(function: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def task_type(
    *,
    name: str | None = None,
    needs: Needs | None = None,
    retries: int | None = None,
    retry_delay_seconds: float | None = None,
    persistent: bool = False,
    start: Start | None = None,
    **options: Unpack[FlowOptions],
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def task_type(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    needs: Needs | None = None,
    retries: int | None = None,
    retry_delay_seconds: float | None = None,
    persistent: bool = False,
    start: Start | None = None,
    **options: Unpack[FlowOptions],
) -> Flow[P, R] | Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a task type of a sync or async function whose only parameter is a pydantic model.

    A run that is given no attachments, as a schedule's, gets the model's defaults; where a field has none, the
    run fails and names it.

    Args:
        function: the function, where the decorator is written without parentheses.
        name: the flow's name, Skalds' ``className``; the function's name by default.
        needs: what a task takes from its node; nothing is reserved by default.
        retries: how often a failed task starts again.
        retry_delay_seconds: seconds before each retry.
        persistent: the task is meant to run for ever; an edge node starts it again whenever it ends.
        start: how tasks start on a node, "forked", "imported", "late" or "cold"; by default the node chooses the
            fastest way that does not change what the code means (docs/warm-starts.md).
        options: any other option of Prefect's ``@flow``.

    Raises:
        TypeError: at decoration, when the function's parameters are not one pydantic model.
        ValueError: at decoration, when ``start`` is none of the four.
    """

    if start not in (None, *STARTS):
        raise ValueError(f"start is {start!r}; write one of {', '.join(STARTS)}, or leave it out")

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        parameter, model = attachments_parameter(function)
        annotation = model if needs is None else Annotated[model, _Told(needs)]
        given: dict[str, Any] = {
            "name": name or function.__name__,
            "retries": retries,
            "retry_delay_seconds": retry_delay_seconds,
            **options,
        }
        with let_be_left_out(function, parameter, model, annotation):
            made: Flow[P, R] = flow(**given)(function)
        declare(function, TaskType(made.name, needs or Needs(), parameter, persistent, start))
        return made

    return decorate if function is None else decorate(function)


def attachments_parameter(function: Callable[..., Any]) -> tuple[str, type[BaseModel]]:
    """Name and model of a function's single parameter.

    Raises:
        TypeError: there is not exactly one, or it is not annotated with a pydantic model.
    """
    label = getattr(function, "__qualname__", repr(function))
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) != 1:
        found = ", ".join(parameter.name for parameter in parameters) or "none"
        raise TypeError(
            f"task type {label} must have exactly one parameter, its attachments model; it has {found}. "
            f"Write: def {function.__name__}(attachments: MyAttachments)"
        )
    (parameter,) = parameters
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise TypeError(f"task type {label}: parameter {parameter} must be an ordinary one, without stars")
    if parameter.annotation is parameter.empty:
        raise TypeError(
            f"task type {label}: parameter {parameter.name} has no type; "
            "annotate it with a class derived from skald_bridge.authoring.Attachments or pydantic.BaseModel"
        )
    annotation = _resolved(function, parameter, label)
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
        raise TypeError(
            f"task type {label}: parameter {parameter.name} is {annotation!r}, not a pydantic model; "
            "annotate it with a class derived from skald_bridge.authoring.Attachments or pydantic.BaseModel"
        )
    return parameter.name, annotation


def _resolved(function: Callable[..., Any], parameter: inspect.Parameter, label: str) -> Any:
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    try:
        return inspect.signature(function, eval_str=True).parameters[parameter.name].annotation
    except NameError as error:
        raise TypeError(
            f"task type {label}: the type {parameter.annotation!r} of parameter {parameter.name} is unknown "
            "in the function's module; define the model there, above the function"
        ) from error
