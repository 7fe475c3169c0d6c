from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from skald_bridge.authoring import Attachments, Live, Reject, live, task_type
from skald_bridge.authoring.live import ENDED, Answer
from skald_bridge.authoring.revisions import pick_spelling
from skald_bridge.authoring.testing import updates
from skald_work_pools.messages import Update, UpdateApplied, UpdateRejected
from tests.services.poll import until


class Settings(Attachments):
    bit_rate: int = Field(100, ge=1)
    label: str = "a"


def made(**given: Any) -> tuple[Live[Settings], list[Answer]]:
    answers: list[Answer] = []
    return Live(Settings(**given), answer=answers.append), answers


def update(number: int, **attachments: Any) -> Update:
    return Update(f"u{number}", number, attachments)


def applied(number: int, bit_rate: int, label: str = "a") -> UpdateApplied:
    return UpdateApplied(f"u{number}", number, {"bitRate": bit_rate, "label": label})


def test_outside_a_run_live_is_the_plain_value() -> None:
    settings = live(Settings())
    assert (settings.value.bit_rate, settings.revision, settings.changed) == (100, 1, False)


def test_an_update_is_applied_at_the_next_safe_point_only() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    assert settings.changed and settings.revision == 1 and settings.taken.bit_rate == 100
    assert answers == []
    assert settings.value.bit_rate == 7
    assert answers == [applied(2, 7)]
    assert settings.revision == 2 and not settings.changed


def test_several_waiting_updates_are_taken_together_and_each_is_answered() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    settings.offer(update(3, bitRate=7, label="b"))
    assert settings.current() == Settings(bit_rate=7, label="b")
    assert answers == [applied(2, 7), applied(3, 7, "b")]


def test_wrong_attachments_are_rejected_at_once_and_name_the_field() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=0))
    assert [answer.reason for answer in answers if isinstance(answer, UpdateRejected)] == [
        "bitRate: Input should be greater than or equal to 1 (got 0)",
    ]
    assert settings.value == Settings()


def test_an_unknown_field_is_rejected() -> None:
    settings, answers = made()
    settings.offer(update(2, bitrates=1))
    assert answers == [UpdateRejected("u2", 2, "unknown field 'bitrates', did you mean 'bitRate'?")]


def test_a_repeated_update_gets_the_same_answer_and_is_not_applied_twice() -> None:
    settings, answers = made()
    handled: list[int] = []
    settings.on_update(lambda value: handled.append(value.bit_rate))
    for _ in range(3):
        settings.offer(update(2, bitRate=7))
    assert handled == [7]
    assert answers == [applied(2, 7)] * 3


def test_a_repeat_of_a_waiting_update_waits_once() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    settings.offer(update(2, bitRate=7))
    assert settings.value.bit_rate == 7
    assert len(answers) == 1


def test_a_handler_accepts_by_returning() -> None:
    settings, answers = made()
    settings.on_update(lambda _: None)
    settings.offer(update(2, bitRate=7))
    assert answers == [applied(2, 7)]
    assert settings.taken.bit_rate == 7


def test_a_handler_refuses_by_raising() -> None:
    settings, answers = made()

    @settings.on_update
    def judge(value: Settings) -> None:
        if value.bit_rate > 1000:
            raise Reject("too fast for this camera")
        if value.bit_rate > 500:
            raise ZeroDivisionError("oops")

    settings.offer(update(2, bitRate=2000))
    settings.offer(update(3, bitRate=600))
    assert answers == [
        UpdateRejected("u2", 2, "too fast for this camera"),
        UpdateRejected("u3", 3, "ZeroDivisionError: oops"),
    ]
    assert settings.value.bit_rate == 100 and settings.revision == 1


def test_a_handler_registered_late_judges_what_waits() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    settings.on_update(lambda _: None)
    assert answers == [applied(2, 7)]


def test_an_attempt_applies_when_its_block_ends_well() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    with settings.attempt() as trial:
        assert trial.bit_rate == 7
        assert settings.taken.bit_rate == 100
    assert answers == [applied(2, 7)]


def test_an_attempt_refuses_with_its_reason_and_the_value_stays() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    with settings.attempt():
        raise Reject("encoder said no")
    assert answers == [UpdateRejected("u2", 2, "encoder said no")]
    assert settings.value.bit_rate == 100


def test_an_attempt_that_breaks_refuses_and_goes_on_breaking() -> None:
    settings, answers = made()
    settings.offer(update(2, bitRate=7))
    with pytest.raises(ZeroDivisionError), settings.attempt():
        raise ZeroDivisionError("oops")
    assert answers == [UpdateRejected("u2", 2, "ZeroDivisionError: oops")]


def test_an_attempt_without_an_update_sees_the_value() -> None:
    settings, answers = made()
    with settings.attempt() as trial:
        assert trial.bit_rate == 100
    assert answers == []


def test_closing_refuses_what_waits_and_what_comes() -> None:
    settings, answers = made()
    with settings:
        settings.offer(update(2, bitRate=7))
    settings.offer(update(3, bitRate=8))
    assert answers == [UpdateRejected("u2", 2, ENDED), UpdateRejected("u3", 3, ENDED)]


def test_revert_is_an_update() -> None:
    settings, _ = made()
    for number, rate in ((2, 7), (3, 100)):
        settings.offer(update(number, bitRate=rate))
        assert settings.value.bit_rate == rate
    assert settings.revision == 3


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_the_blocking_iterator_yields_each_change_and_ends_when_closed() -> None:
    settings, answers = made()
    seen: list[int] = []
    thread = in_thread(lambda: seen.extend(value.bit_rate for value in settings))
    for number, rate in ((2, 7), (3, 8)):
        settings.offer(update(number, bitRate=rate))
        until(lambda number=number: len(answers) == number - 1, 5, "the iterator takes the update")
    settings.close()
    thread.join(5)
    assert not thread.is_alive()
    assert seen == [7, 8]


def test_wait_says_whether_something_came() -> None:
    settings, _ = made()
    assert settings.wait(0.01) is False
    settings.offer(update(2, bitRate=7))
    assert settings.wait(5) is True


async def test_the_async_iterator_yields_each_change_and_ends_when_closed() -> None:
    settings, answers = made()

    async def read() -> list[int]:
        return [value.bit_rate async for value in settings]

    reading = asyncio.create_task(read())
    for number, rate in ((2, 7), (3, 8)):
        await asyncio.to_thread(settings.offer, update(number, bitRate=rate))
        async with asyncio.timeout(5):
            while len(answers) < number - 1:
                await asyncio.sleep(0.01)
    await asyncio.to_thread(settings.close)
    assert await asyncio.wait_for(reading, 5) == [7, 8]


async def test_async_wait_ends_by_itself() -> None:
    settings, _ = made()
    assert await settings.wait_async(0.01) is False
    settings.offer(update(2, bitRate=7))
    assert await settings.wait_async(5) is True


def test_a_change_in_the_other_spelling_wins_over_the_stored_one() -> None:
    class Custom(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        rtsp_url: str = Field("x", alias="address")
        fix_frame: int = Field(1, alias="fixFrame")

    newest = Custom(fix_frame=5, rtsp_url="old")
    both = {"fixFrame": 5, "fix_frame": 9, "address": "old", "rtsp_url": "new"}
    assert pick_spelling(Custom, both, newest) == {"fix_frame": 9, "rtsp_url": "new"}
    turned = {"fixFrame": 9, "fix_frame": 5}
    assert pick_spelling(Custom, turned, newest) == {"fixFrame": 9}


@task_type(name="counts")
def counts(attachments: Settings) -> list[int]:
    with live(attachments) as settings:
        return [settings.value.bit_rate for _ in range(2)]


def test_the_helper_pushes_updates_into_a_flow_under_test() -> None:
    with updates() as feed:
        good, bad, more = feed.push(bitRate=7), feed.push(bit_rate=-1), feed.push(label="b")
        assert counts.fn(Settings()) == [7, 7]
    assert good.applied and more.applied
    assert bad.reason == "bitRate: Input should be greater than or equal to 1 (got -1)"
    assert isinstance(more.answer, UpdateApplied) and more.answer.attachments == {"bitRate": 7, "label": "b"}


def test_the_helper_waits_for_a_flow_on_another_thread() -> None:
    with updates() as feed:
        settings = live(Settings())
        sent = feed.push(bitRate=7)
        thread = in_thread(lambda: print(settings.value))
        assert isinstance(sent.wait(), UpdateApplied)
        thread.join()
        with pytest.raises(TimeoutError, match="did not answer"):
            feed.push(bitRate=8).wait(0.01)
