from __future__ import annotations

import signal
from typing import Any

import pytest
from prefect.exceptions import TerminationSignal
from prefect.utilities.hashing import file_hash
from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.authoring import Needs, flow_from_worker
from skald_bridge.authoring.skalds import (
    BaseTaskWorker,
    release_handler,
    run_after_handler,
    run_before_handler,
    run_main_handler,
    update_event_handler,
)
from skald_bridge.authoring.testing import updates
from skald_bridge.authoring.workers import attachments_model
from skald_work_pools.task_type import TaskType, declared

told: list[Any] = []


class Data(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    fix_frame: int = Field(1, alias="fixFrame")
    breaks: str = ""
    ends: int = 0


class MyWorker(BaseTaskWorker[Data]):
    """Watches a camera."""

    def initialize(self, data: Data) -> None:
        told.append(("initialize", data.fix_frame))
        self.data = data

    @run_before_handler
    def before(self) -> None:
        told.append("before")

    @run_main_handler
    def main(self) -> None:
        told.append("main")
        if self.data.breaks:
            raise ValueError(self.data.breaks)
        if self.data.ends:
            raise TerminationSignal(signal=self.data.ends)

    @run_after_handler
    def after(self) -> None:
        told.append("after")

    @release_handler
    def release(self) -> None:
        told.append(("release", self.is_done))

    @update_event_handler
    def update(self, data: Data) -> None:
        if data.fix_frame > 100:
            raise ValueError("no camera is that fast")
        told.append(("update", data.fix_frame))


@pytest.fixture(autouse=True)
def forget() -> None:
    told.clear()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"brakes": "x"}, "unknown field 'brakes', did you mean 'breaks'?"),
        ({"fixFrame": "many"}, "fixFrame: Input should be a valid integer"),
    ],
)
def test_an_update_of_a_plain_model_with_a_wrong_field_is_rejected(
    changes: dict[str, Any], reason: str
) -> None:
    with updates() as feed:
        sent = feed.push(**changes)
        flow_from_worker(MyWorker).fn(Data(fixFrame=7))
    assert not sent.applied
    assert reason in (sent.reason or "")
    assert not [each for each in told if each[0] == "update"]


def test_the_order_is_initialize_before_main_after_release() -> None:
    flow_from_worker(MyWorker).fn(Data(fixFrame=7))
    assert told == [("initialize", 7), "before", "main", "after", ("release", True)]


def test_what_main_raises_fails_the_task_after_the_release() -> None:
    with pytest.raises(ValueError, match="lens cap"):
        flow_from_worker(MyWorker).fn(Data(breaks="lens cap"))
    assert told == [("initialize", 1), "before", "main", ("release", True)]


def test_a_signal_unwinds_main_and_releases() -> None:
    with pytest.raises(TerminationSignal):
        flow_from_worker(MyWorker).fn(Data(ends=signal.SIGTERM))
    assert told[-1] == ("release", True)


class Signalled(MyWorker):
    @release_handler
    def release(self, *arguments: Any) -> None:
        told.append(("release", arguments))


def test_a_release_handler_with_arguments_gets_the_signal() -> None:
    with pytest.raises(TerminationSignal):
        flow_from_worker(Signalled).fn(Data(ends=signal.SIGTERM))
    assert told[-1] == ("release", (signal.SIGTERM, None))


def test_the_update_handler_gets_validated_data_and_may_refuse() -> None:
    with updates() as feed:
        good, typed, refused = feed.push(fix_frame=7), feed.push(fixFrame="x"), feed.push(fixFrame=200)
        flow_from_worker(MyWorker).fn(Data())
    assert good.applied
    assert typed.reason and typed.reason.startswith("fixFrame: Input should be a valid integer")
    assert refused.reason == "ValueError: no camera is that fast"
    assert ("update", 7) in told


class Deaf(BaseTaskWorker[Data]):
    def initialize(self, data: Data) -> None: ...

    @run_main_handler
    def main(self) -> None: ...


def test_without_an_update_handler_updates_are_refused_with_the_reason() -> None:
    with updates() as feed:
        sent = feed.push(fixFrame=7)
        flow_from_worker(Deaf).fn(Data())
    assert sent.reason == "Deaf has no update_event_handler"


def test_the_flow_is_named_after_the_class_and_declares_its_needs() -> None:
    flow = flow_from_worker(MyWorker, needs=Needs(cpus=2), persistent=True, retries=2)
    assert (flow.name, flow.retries, flow.description) == ("MyWorker", 2, "Watches a camera.")
    assert declared(flow) == TaskType("MyWorker", Needs(cpus=2), "attachments", persistent=True)
    assert "fixFrame" in flow.parameters.definitions["Data"]["properties"]
    assert flow.validate_parameters({"attachments": {"fix_frame": 3}})["attachments"].fix_frame == 3


def test_the_version_is_that_of_the_class_file() -> None:
    assert flow_from_worker(MyWorker).version == file_hash(__file__)


def test_the_model_is_found_through_a_class_in_between() -> None:
    assert attachments_model(Signalled) is Data


class NoModel(BaseTaskWorker):  # type: ignore[type-arg]
    def initialize(self, data: Any) -> None: ...


class NoMain(BaseTaskWorker[Data]):
    def initialize(self, data: Data) -> None: ...


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        (NoModel, r"write: class NoModel\(BaseTaskWorker\[MyAttachments\]\)"),
        (NoMain, "NoMain has no main handler; mark one method with @run_main_handler"),
    ],
)
def test_an_incomplete_class_is_refused(worker: type[Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        flow_from_worker(worker)


class Undecorated(BaseTaskWorker[Data]):
    def initialize(self, data: Data) -> None: ...

    @run_main_handler
    def main(self) -> None: ...

    def release(self) -> None:
        told.append("released")


class Helped(MyWorker):
    """Has a handler, and a helper of a name like one."""

    def run_before(self) -> None: ...


def test_a_handler_without_its_decorator_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    said = (
        "Undecorated.release is no handler and a task's life does not call it: mark it with @release_handler"
    )
    with pytest.warns(UserWarning, match=said) as heard:
        flow = flow_from_worker(Undecorated)
    assert heard[0].filename == __file__
    flow.fn(Data())
    assert said in caplog.text
    assert told == []


def test_no_warning_where_there_is_a_handler(recwarn: pytest.WarningsRecorder) -> None:
    flow_from_worker(Helped)
    assert not [each for each in recwarn if each.category is UserWarning]
