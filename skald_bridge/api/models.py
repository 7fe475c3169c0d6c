"""Bodies of requests and answers about tasks, in Skalds' names."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import LONGEST_ID, check_id
from skald_bridge.domain.lifecycle import LifecycleStatus


def _whole(given: object) -> object:
    return int(given) if isinstance(given, float) and given.is_integer() else given


def _id(given: str) -> str:
    try:
        check_id(given)
    except InvalidInput as error:
        said = {"said": error.message.removeprefix("id: "), "remedy": error.remedy or ""}
        raise PydanticCustomError("unfit_id", "{said}", said) from error
    return given


LATEST_MS = 2**53
"""Milliseconds beyond this are no integers to JavaScript."""
Whole = Annotated[int, BeforeValidator(_whole)]
"""To JSON, 1.0 is the number 1."""
Milliseconds = Annotated[Whole, Field(ge=0, le=LATEST_MS)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""No control characters."""
_ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f/]+$"
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=_ID_PATTERN), AfterValidator(_id)]
"""See ``check_id``."""
TaskPath = Annotated[
    str,
    Path(
        alias="task_id",
        min_length=1,
        max_length=LONGEST_ID,
        pattern=_ID_PATTERN,
        description="The task's id.",
    ),
]
T = TypeVar("T")


class Wire(BaseModel):
    """camelCase outside; what is not known is passed over."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Asked(Wire):
    """The body of a request: types are taken as they are, "1" is no number."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel, populate_by_name=False)


class TaskOut(Wire):
    id: str
    class_name: str
    lifecycle_status: LifecycleStatus
    executor: str | None = Field(None, description="The Skald that has it.")
    create_date_time: int = Field(description="Unix time in milliseconds.")
    update_date_time: int = Field(description="Unix time in milliseconds.")
    mode: str
    attachments: dict[str, Any]
    heartbeat: int = Field(
        description="A counter 0…199 while it runs; 200 finished, -1 failed, -2 cancelled; 0 where none is heard."
    )
    error: str | None = Field(None, description="An error that did not end it.")
    exception: str | None = Field(None, description="What ended it.")
    priority: int = 0


class TasksOut(Wire):
    items: list[TaskOut]
    total: int
    page: int
    page_size: int


class TaskHeartbeatOut(Wire):
    task_id: str
    heartbeat: int
    status: LifecycleStatus
    is_alive: bool
    is_assigning: bool
    error: str | None = None
    exception: str | None = None
    last_update: int
    heartbeat_history: list[int]


class Done(Wire, Generic[T]):
    """A write that was accepted."""

    success: Literal[True] = True
    message: str
    data: T


class StatusSet(Wire):
    task_id: str
    status: LifecycleStatus


class AttachmentsSet(Wire):
    task_id: str
    attachments: dict[str, Any]
    outcome: Literal["applied", "stored"] = Field(
        description="applied: the running task has them; stored: it will begin with them."
    )
    revision: int


class Said(Wire):
    at: int = Field(description="Unix time in milliseconds.")
    message: str


class WhyOut(Wire):
    task_id: str
    lifecycle_status: LifecycleStatus
    reasons: list[str] = Field(description="The most telling first.")
    node_log: list[Said] = Field(description="What nodes said of it: refusals, lease, start, end.")


class NewStatus(Asked):
    lifecycle_status: Literal["Created", "Cancelled"] = Field(
        description="Created: run once more; Cancelled: end it."
    )


class NewAttachments(Asked):
    attachments: dict[str, Any] = Field(
        description="All of them: a field that is left out has its default again."
    )


class NewTask(Asked):
    """Skalds' task document; all but ``className`` may be left out."""

    id: Id | None = Field(None, description="Kept as the task's id; a repeat makes no second task.")
    class_name: Name
    source: str = Field("REST", max_length=200)
    name: str | None = Field(None, max_length=200)
    description: str | None = Field(None, max_length=4000)
    executor: str | None = Field(None, max_length=200)
    dependencies: list[Id] | None = Field(None, max_length=1000)
    mode: Literal["Active", "Passive", "PassiveProcess"] = "Passive"
    is_persistent: bool = False
    create_date_time: Milliseconds = 0
    update_date_time: Milliseconds = 0
    deadline_date_time: Milliseconds = Field(0, description="0 is none.")
    lifecycle_status: Literal["Created"] = "Created"
    priority: Whole = Field(0, ge=0, le=10, description="10 is taken first.")
    attachments: dict[str, Any] | None = None
