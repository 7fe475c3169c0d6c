"""Single decisions of the mirror."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from skald_bridge.domain.causes import Gone, Reported, Seen, Stored, Told
from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.documents import GONE
from skald_bridge.domain.effects import Append, Effect, EndPulse, Fetch, Hold, Put
from skald_bridge.domain.facts import RevisionHint
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.mirror import Cause, Known, decide
from tests.unit.bridge.facts import START, TASK, hint_after, hints, history, state, task

S = StateType
LIFE = history(S.SCHEDULED, S.PENDING, S.RUNNING, S.COMPLETED)


def fold(known: Known, *causes: Cause) -> tuple[Known, list[Effect]]:
    effects: list[Effect] = []
    for cause in causes:
        decided = decide(known, cause)
        known = known.after(decided)
        effects += decided
    return known, effects


def appended(effects: list[Effect]) -> list[str]:
    return [effect.record.id for effect in effects if isinstance(effect, Append)]


def test_a_new_tasks_first_state_waits_for_proof() -> None:
    first, second, *_ = hints(LIFE)
    known, effects = fold(Known(), first)
    assert effects == [Hold(first)]
    _, effects = fold(known, second)
    assert appended(effects) == [LIFE[0].id]
    assert effects[-1] == Hold(second)


def test_a_look_proves_what_is_held() -> None:
    known, effects = fold(Known(), hints(LIFE)[0], Seen(task(LIFE[0])))
    assert appended(effects) == [LIFE[0].id]
    assert known.held is None
    assert known.document is not None and known.document.attachments == {"inputUrl": "bikes.mp4"}


def test_that_a_state_is_stored_proves_it_and_no_other() -> None:
    known, _ = fold(Known(), Told(task(LIFE[0]), tuple(LIFE[:1])), hints(LIFE)[1])
    assert decide(known, Stored(LIFE[2].id)) == []
    proven, effects = fold(known, Stored(LIFE[1].id))
    assert appended(effects) == [LIFE[1].id]
    assert proven.document is not None and proven.document.executor == "n1"
    assert decide(proven, Stored(LIFE[1].id)) == []


def test_a_state_that_never_was_is_not_journaled() -> None:
    settled, _ = fold(Known(), Told(task(LIFE[1]), tuple(LIFE[:2])))
    phantom = state(90, S.RUNNING)
    known, effects = fold(settled, hint_after(LIFE[1], phantom), Seen(task(LIFE[1])))
    assert appended(effects) == []
    known, effects = fold(known, hints(LIFE)[2])
    assert effects == [Fetch(TASK)]
    _, effects = fold(known, Told(task(LIFE[2]), tuple(LIFE[:3])))
    assert appended(effects) == [LIFE[2].id]
    known, _ = fold(known, Told(task(LIFE[1]), tuple(LIFE[:2])))
    assert decide(known, hints(LIFE)[2]) == [Hold(hints(LIFE)[2])]


def test_a_missed_state_asks_for_the_history() -> None:
    known, _ = fold(Known(), Told(task(LIFE[0]), tuple(LIFE[:1])))
    known, effects = fold(known, hints(LIFE)[2])
    assert effects == [Fetch(TASK)]
    _, effects = fold(known, Told(task(LIFE[2]), tuple(LIFE[:3])))
    assert appended(effects) == [LIFE[1].id, LIFE[2].id]


def test_repeats_and_settled_tasks_do_nothing() -> None:
    known, _ = fold(Known(), Told(task(LIFE[3]), tuple(LIFE)))
    assert decide(known, hints(LIFE)[3]) == []
    assert decide(known, Seen(task(LIFE[3]))) == []
    assert decide(known, Told(task(LIFE[3]), tuple(LIFE))) == []
    assert decide(known, Seen(task(None))) == []


def test_ends_in_skalds_words() -> None:
    for end, value, exception in [
        (S.COMPLETED, 200, None),
        (S.FAILED, -1, "no such file"),
        (S.CRASHED, -1, "no such file"),
        (S.CANCELLED, -2, None),
    ]:
        states = [*LIFE[:3], state(3, end, message="no such file")]
        _, effects = fold(Known(), Told(task(states[-1]), tuple(states)))
        assert [effect for effect in effects if isinstance(effect, EndPulse)] == [
            EndPulse(TASK, value, exception)
        ]
        assert isinstance(effects[-1], Put) and effects[-1].document.exception == exception


def test_a_retry_ends_nothing_and_counts_attempts() -> None:
    states = history(S.SCHEDULED, S.PENDING, S.RUNNING, S.FAILED, S.SCHEDULED, S.PENDING, S.RUNNING)
    known, effects = fold(Known(), Told(task(states[-1]), tuple(states)))
    assert not [effect for effect in effects if isinstance(effect, EndPulse)]
    assert known.last is not None and known.last.attempt == 2
    assert known.document is not None and known.document.ended is None
    assert known.document.started == states[2].at


def test_going_on_after_a_pause_is_the_same_attempt() -> None:
    states = history(S.SCHEDULED, S.PENDING, S.RUNNING, S.PAUSED, S.RUNNING, S.PAUSED, S.RUNNING)
    known, _ = fold(Known(), Told(task(states[-1]), tuple(states)))
    assert known.last is not None and known.last.attempt == 1


def test_archive_behind_the_journal_is_repaired() -> None:
    known, _ = fold(Known(), Told(task(LIFE[1]), tuple(LIFE[:2])))
    later, _ = fold(known, Told(task(LIFE[3]), tuple(LIFE)))
    crashed = Known.stored(later.last, known.document)
    assert decide(crashed, Seen(task(LIFE[3]))) == [Fetch(TASK)]
    repaired, effects = fold(crashed, Told(task(LIFE[3]), tuple(LIFE)))
    assert appended(effects) == []
    assert repaired.document == later.document


def test_revisions() -> None:
    known, _ = fold(Known(), Told(task(LIFE[2]), tuple(LIFE[:3])))
    newer = RevisionHint(TASK, 2, {"inputUrl": "b.mp4"})
    known, effects = fold(known, newer)
    assert isinstance(effects[0], Put) and effects[0].document.attachments == {"inputUrl": "b.mp4"}
    assert decide(known, newer) == []
    stale, effects = fold(known, Seen(task(LIFE[2])))
    assert effects == [] and stale.document is not None and stale.document.revision == 2
    known, effects = fold(known, Seen(task(LIFE[2], revision=3, attachments={"inputUrl": "c.mp4"})))
    assert known.document is not None and known.document.attachments == {"inputUrl": "c.mp4"}
    assert decide(Known(), newer) == [Fetch(TASK)]


def test_a_deleted_task_is_closed_once() -> None:
    known, _ = fold(Known(), Told(task(LIFE[2]), tuple(LIFE[:3])))
    known, effects = fold(known, Gone())
    assert effects[0] == EndPulse(TASK, -2, GONE)
    assert known.document is not None and known.document.lifecycle is LifecycleStatus.CANCELLED
    assert decide(known, Gone()) == []
    assert decide(Known(), Gone()) == []


def test_a_history_that_lost_its_past_is_counted_on() -> None:
    known, _ = fold(Known(), Told(task(LIFE[1]), tuple(LIFE[:2])))
    _, effects = fold(known, Told(task(LIFE[3]), tuple(LIFE[2:])))
    records = [effect.record for effect in effects if isinstance(effect, Append)]
    assert [(record.id, record.sequence) for record in records] == [(LIFE[2].id, 3), (LIFE[3].id, 4)]


def test_long_messages_are_cut_alike_from_hint_and_history() -> None:
    long = replace(LIFE[0], message="x" * 10_000)
    by_hint, _ = fold(Known(), hints([long])[0], Seen(task(long)))
    by_history, _ = fold(Known(), Told(task(long), (long,)))
    assert by_hint.last == by_history.last
    assert by_hint.last is not None and len(by_hint.last.message or "") < 5000


def reported(type_: S, second: int, *, message: str | None = None, node: str | None = None) -> Reported:
    new = NewTask(TASK, "Sew", "MongoDB", START, attachments={"a": 1}, dependencies=(TaskId("b"),))
    return Reported(new, type_, START + timedelta(seconds=second), message, NodeId(node) if node else None)


def test_what_a_skalds_node_says_of_a_task_is_a_story_like_any_other() -> None:
    causes = [
        reported(type_, at, node="theirs") for at, type_ in enumerate((S.PENDING, S.RUNNING, S.RUNNING))
    ]
    known, effects = fold(Known(), *causes)
    assert [effect.record.state for effect in effects if isinstance(effect, Append)] == [S.PENDING, S.RUNNING]
    assert known.document is not None
    assert known.document.foreign
    assert (known.document.executor, known.document.attempt) == ("theirs", 1)
    assert known.document.extra["dependencies"] == ["b"]
    # Prefect does not know it, and that is no reason to close it.
    assert decide(known, Gone()) == []
    known, effects = fold(known, reported(S.FAILED, 9, message="no thread", node="theirs"))
    assert [effect for effect in effects if isinstance(effect, EndPulse)] == [EndPulse(TASK, -1, "no thread")]
    assert known.document is not None
    assert (known.document.sequence, known.document.exception) == (3, "no thread")
    assert known.document.ended == START + timedelta(seconds=9)


def test_a_refused_task_that_is_made_after_all_goes_on_from_its_refusal() -> None:
    known, _ = fold(Known(), reported(S.FAILED, -5, message="className: unknown"))
    known, effects = fold(known, *hints(LIFE)[:1])
    assert effects == [Fetch(TASK)]
    known, effects = fold(known, Told(task(LIFE[1]), tuple(LIFE[:2])))
    assert [effect.record.sequence for effect in effects if isinstance(effect, Append)] == [2, 3]
    assert known.document is not None
    assert not known.document.foreign
    assert known.document.exception is None
