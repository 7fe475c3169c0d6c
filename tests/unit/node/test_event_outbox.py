"""What is sent next, asked about, sent again and given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from skald_work_pools.node.server.event_api import judge
from skald_work_pools.node.server.event_outbox import (
    LATE,
    OVERTAKING,
    RESENDS,
    SETTLED,
    SHADOW,
    TRUSTED,
    EventOutbox,
    Question,
)
from skald_work_pools.node.server.outgoing_event import OutgoingEvent

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    name: str, run: str = "run", seconds: float = 0, task_run: str = "", size: int = 10
) -> OutgoingEvent:
    return OutgoingEvent(name, name, run, START + timedelta(seconds=seconds), "x" * size, task_run)


def filled(*names: str, now: float = 0, outbox: EventOutbox | None = None) -> EventOutbox:
    """An outbox that has sent events of these names at ``now``."""
    outbox = outbox or EventOutbox()
    for name in names:
        outbox.add(event(name))
        send_all(outbox, now)
    return outbox


def send_all(outbox: EventOutbox, now: float) -> list[str]:
    sent = []
    while (following := outbox.next()) is not None:
        outbox.sent(following, now)
        sent.append(following.id)
    return sent


def asked(outbox: EventOutbox, now: float) -> list[str]:
    return [question.event.id for question in outbox.questions(now)]


def answer(outbox: EventOutbox, now: float, *recorded: str) -> list[str]:
    """Ids of what is to be sent again after the server's answer to all that is due."""
    verdict = outbox.answered(outbox.questions(now), set(recorded), now)
    return [each.id for each in verdict.resend]


def test_in_calm_times_nothing_is_asked_and_time_forgets() -> None:
    outbox = filled("a", "b", now=0)
    assert outbox.next_question() is None and not outbox.questions(10**6)
    filled("c", now=TRUSTED, outbox=outbox)
    outbox.doubt(TRUSTED + 1)
    assert asked(outbox, TRUSTED + 1) == ["c"]


def test_after_a_disruption_what_the_server_lacks_goes_in_order_before_what_is_new() -> None:
    outbox = filled("a", "b", "c", now=0)
    outbox.add(event("new"))
    outbox.doubt(1)
    assert outbox.next() is None and outbox.unsent == 4
    assert asked(outbox, 1) == ["a", "b", "c"]
    assert answer(outbox, 1, "b") == ["a", "c"]
    outbox.resent([event("a"), event("c")], 2)
    assert send_all(outbox, 3) == ["new"]
    assert outbox.unsent == 0


def test_what_was_sent_again_is_asked_about_until_it_is_proven() -> None:
    outbox = filled("a", now=0)
    outbox.doubt(1)
    assert answer(outbox, 1) == ["a"]
    outbox.resent([event("a")], 1)
    assert not outbox.questions(1 + SETTLED - 0.1) and outbox.next_question() == 1 + SETTLED
    assert answer(outbox, 1 + SETTLED, "a") == []
    outbox.doubt(100)
    assert not outbox.questions(100)


def test_what_is_never_recorded_is_given_up_after_minutes() -> None:
    outbox = filled("a", now=0)
    outbox.doubt(0)
    now = 0.0
    for _ in range(RESENDS):
        assert answer(outbox, now) == ["a"]
        outbox.resent([event("a")], now)
        now = outbox.next_question() or 0
    assert now > 300, "longer than the server ignores an id that it has seen"
    verdict = outbox.answered(outbox.questions(now), set(), now)
    assert [each.id for each in verdict.given_up] == ["a"] and not verdict.resend
    assert outbox.next_question() is None


def test_a_server_that_dies_again_and_again_is_tried_again_and_again() -> None:
    outbox = filled("a", now=0)
    for now in range(3 * RESENDS):
        outbox.doubt(now)
        assert answer(outbox, now) == ["a"]
        outbox.resent([event("a")], now)


def test_what_was_taken_before_a_disruption_was_noticed_is_no_proof() -> None:
    outbox = filled("a", now=0)
    outbox.doubt(1)
    assert answer(outbox, 1) == ["a"]
    outbox.doubt(2)
    outbox.resent([event("a")], 1.5)
    assert outbox.unsent == 1 and asked(outbox, 2) == ["a"]


def test_a_full_window_is_asked_about_before_more_is_sent() -> None:
    outbox = EventOutbox(window=2)
    for name in "abc":
        outbox.add(event(name))
    assert send_all(outbox, 0) == ["a", "b"]
    assert outbox.next_question() == SETTLED and not outbox.questions(SETTLED - 1)
    assert answer(outbox, SETTLED, "a") == [], "b may still be on its way into the database"
    assert send_all(outbox, SETTLED) == ["c"]
    assert answer(outbox, LATE) == ["b"], "it never came"


def test_an_event_that_cannot_be_proven_does_not_fill_the_window() -> None:
    outbox = EventOutbox(window=1)
    filled("a", outbox=outbox)
    outbox.doubt(1)
    answer(outbox, 1)
    outbox.resent([event("a")], 1)
    outbox.add(event("b"))
    assert send_all(outbox, 2) == ["b"]


def test_heartbeats_are_not_kept() -> None:
    outbox = filled("prefect.flow-run.heartbeat")
    outbox.doubt(1)
    assert not outbox.questions(1)


def test_beyond_its_bounds_the_run_that_has_most_loses_its_oldest() -> None:
    outbox = EventOutbox(kept=4)
    for number in range(3):
        outbox.add(event(f"loud-{number}", "loud"))
    assert outbox.add(event("quiet-0", "quiet")) == []
    assert [each.id for each in outbox.add(event("quiet-1", "quiet"))] == ["loud-0"]
    assert send_all(outbox, 0) == ["loud-1", "loud-2", "quiet-0", "quiet-1"]
    assert outbox.add(event("quiet-2", "quiet")) == [], (
        "what was sent undisturbed goes first, and is not lost"
    )
    outbox = EventOutbox(characters=100)
    outbox.add(event("small", "a"))
    assert outbox.add(event("large", "b", size=80)) == []
    assert [each.id for each in outbox.add(event("larger", "b", size=85))] == ["large"]


def test_a_refused_event_is_forgotten() -> None:
    outbox = filled("a")
    outbox.doubt(1)
    outbox.forget(event("a"))
    assert outbox.unsent == 0 and not outbox.questions(1)


def test_events_beside_a_state_that_is_sent_again_are_asked_about_later() -> None:
    outbox = EventOutbox()
    state, before, after = event("state", task_run="t"), event("before"), event("after")
    outbox.add(state)
    send_all(outbox, 0)
    outbox.doubt(1)
    assert answer(outbox, 1) == ["state"]
    outbox.resent([state], 1)
    for each in (before, after, event("later", task_run="u")):
        outbox.add(each)
        send_all(outbox, 2)
    assert outbox.unsent == 0 and asked(outbox, 1 + SETTLED) == ["state"]
    outbox.forget(state)
    assert asked(outbox, 2 + SHADOW) == ["before", "after"]


def states(*, settled: bool = True, resent: int = 0) -> list[Question]:
    """Three states of one task run, a second apart."""
    names = ("pending", "running", "completed")
    return [
        Question(event(name, seconds=number, task_run="t"), settled, resent)
        for number, name in enumerate(names)
    ]


def test_a_newer_state_proves_older_ones_that_were_sent_long_before() -> None:
    newest = {"t": ("running", START + timedelta(seconds=1))}
    assert judge(states(), newest) == ({"pending", "running"}, [])
    assert judge(states(), {}) == (set(), [])


def test_a_state_sent_just_before_the_disruption_may_have_been_overtaken() -> None:
    newest = {"t": ("completed", START + timedelta(seconds=2))}
    proven, unsure = judge(states(settled=False), newest)
    assert proven == {"completed"} and [each.id for each in unsure] == ["pending", "running"]


def test_a_task_run_that_stays_unknown_may_have_another_attempts_id() -> None:
    proven, unsure = judge(states(resent=1), {})
    assert not proven and len(unsure) == 3


def test_a_long_outage_does_not_make_what_was_sent_just_before_it_settled() -> None:
    outbox = filled("a", now=0)
    for now in (1, OVERTAKING, 3 * OVERTAKING):
        outbox.doubt(now)
    assert [question.settled for question in outbox.questions(now)] == [False]
    outbox = filled("a", now=0)
    outbox.doubt(OVERTAKING)
    assert [question.settled for question in outbox.questions(OVERTAKING)] == [True]
