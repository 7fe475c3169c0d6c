"""Whatever hints are lost, repeated, reordered or untrue: after a sweep the journal is the history."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from skald_bridge.domain.causes import Seen, Told
from skald_bridge.domain.documents import document_of, records_of, span_of
from skald_bridge.domain.effects import Append, Effect, Fetch, Put
from skald_bridge.domain.facts import State
from skald_bridge.domain.ids import StateId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import Cause, Known, decide
from skald_bridge.domain.records import JournalRecord, TaskDocument
from tests.unit.bridge.facts import TASK, hint_after, hints, history, state, task

S = StateType
ACTIONS = ("commit", "hint", "repeat", "old", "phantom", "look", "answer", "crash", "cut")
types = st.lists(st.sampled_from(list(S)), min_size=0, max_size=12)


@dataclass
class World:
    """Prefect's history, of which ``committed`` states are true yet, and the mirror with its stores."""

    states: list[State]
    committed: int = 1
    journal: dict[StateId, JournalRecord] = field(default_factory=dict)
    document: TaskDocument | None = None
    known: Known = field(default_factory=Known)
    asked: bool = False
    cut: int | None = None

    @property
    def truth(self) -> list[State]:
        return self.states[: self.committed]

    def cause(self, cause: Cause) -> None:
        effects = decide(self.known, cause)
        if self.cut is not None:
            self.perform(effects[: self.cut])
            self.crash()
            return
        self.perform(effects)
        self.known = self.known.after(effects)
        self.asked |= any(isinstance(effect, Fetch) for effect in effects)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Append(record):
                    self.journal.setdefault(record.id, record)
                case Put(document):
                    old = self.document
                    if old is None or document.sequence >= old.sequence:
                        self.document = document

    def crash(self) -> None:
        """What is in memory is lost, what is stored is not."""
        records = list(self.journal.values())
        self.known = Known.stored(records[-1] if records else None, self.document)
        self.asked, self.cut = False, None

    def sweep(self) -> None:
        self.cut = None
        self.cause(Seen(task(self.truth[-1])))
        if self.asked:
            self.answer()

    def answer(self) -> None:
        self.asked = False
        self.cause(Told(task(self.truth[-1]), tuple(self.truth)))


@settings(max_examples=500, deadline=None)
@given(types, st.data())
def test_the_journal_is_the_history_once_and_in_order(later: list[StateType], data: st.DataObject) -> None:
    states = history(S.SCHEDULED, *later)
    told = hints(states)
    world = World(states)
    for action in data.draw(st.lists(st.sampled_from(ACTIONS), max_size=40)):
        match action:
            case "commit":
                world.committed = min(len(states), world.committed + 1)
            case "hint":
                # Prefect tells of a state while it commits it.
                world.cause(told[min(world.committed, len(told) - 1)])
            case "repeat":
                world.cause(told[world.committed - 1])
            case "old":
                world.cause(told[data.draw(st.integers(0, world.committed - 1))])
            case "phantom":
                untrue = state(data.draw(st.integers(500, 520)), data.draw(st.sampled_from(list(S))))
                world.cause(hint_after(world.truth[-1], untrue))
            case "look":
                world.cause(Seen(task(world.truth[-1])))
            case "answer" if world.asked:
                world.answer()
            case "crash":
                world.crash()
            case "cut":
                world.cut = data.draw(st.integers(0, 3))
    world.committed = len(states)
    world.sweep()
    expected = records_of(states, task=TASK, class_name="Probe")
    assert list(world.journal.values()) == expected
    assert world.document == document_of(task(states[-1]), expected[-1], span_of(expected))


@given(types)
def test_hints_in_order_need_no_history(later: list[StateType]) -> None:
    states = history(S.SCHEDULED, *later)
    world = World(states)
    for number, hint in enumerate(hints(states), 1):
        world.committed = number
        world.cause(hint)
        assert not world.asked
        assert list(world.journal) == [known.id for known in states[: number - 1]]
    world.cause(Seen(task(states[-1])))
    assert not world.asked
    expected = records_of(states, task=TASK, class_name="Probe")
    assert list(world.journal.values()) == expected
    assert world.document == document_of(task(states[-1]), expected[-1], span_of(expected))
