"""Each kind of violation is found, and found as what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.judge import Document, Evidence, Record, Run, State, judge

STATES = tuple(
    State(f"s{number}", kind, kind.capitalize())
    for number, kind in enumerate(("SCHEDULED", "PENDING", "RUNNING", "COMPLETED"), 1)
)
AGAIN = tuple(
    State(f"r{number}", kind, name)
    for number, (kind, name) in enumerate(
        (
            ("SCHEDULED", "Scheduled"),
            ("PENDING", "Pending"),
            ("RUNNING", "Running"),
            ("CRASHED", "Crashed"),
            ("SCHEDULED", "AwaitingRetry"),
            ("PENDING", "Pending"),
            ("RUNNING", "Running"),
            ("COMPLETED", "Completed"),
        ),
        1,
    )
)


def told(states: tuple[State, ...]) -> tuple[Record, ...]:
    return tuple(Record(state.id, number) for number, state in enumerate(states, 1))


GOOD = Evidence(
    wanted=frozenset({"k1", "k2"}),
    runs={"t1": Run("k1", STATES, {"level": 2}, 3), "t2": Run("k2", AGAIN)},
    begun={"t1": 1, "t2": 2},
    records={"t1": told(STATES), "t2": told(AGAIN)},
    documents={"t1": Document("Finished", "s4", {"level": 2}, 3), "t2": Document("Finished", "r8")},
    answered={"t1": 3},
)


def found(evidence: Evidence) -> dict[str, int]:
    """The counts that are not zero."""
    return {kind: count for kind, count in judge(evidence).counts().items() if count}


def with_run(evidence: Evidence, task: str, run: Run) -> Evidence:
    return replace(evidence, runs={**evidence.runs, task: run})


def with_records(task: str, *records: Record) -> Evidence:
    return replace(GOOD, records={**GOOD.records, task: records})


def with_document(document: Document) -> Evidence:
    return replace(GOOD, documents={**GOOD.documents, "t1": document})


def test_nothing_is_found_where_all_agree() -> None:
    assert judge(GOOD).clean and not judge(GOOD).sentences()


def test_a_task_that_prefect_does_not_know_is_lost() -> None:
    assert found(replace(GOOD, wanted=GOOD.wanted | {"k3"})) == {"lost": 1}


@pytest.mark.parametrize("kind", ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"])
def test_a_task_that_never_ends_is_lost(kind: str) -> None:
    states = (*STATES[:3], State("s4", kind, kind.capitalize()))
    assert found(with_run(GOOD, "t1", replace(GOOD.runs["t1"], states=states))) == {"lost": 1}


def test_a_task_that_completed_without_beginning_is_lost() -> None:
    assert found(replace(GOOD, begun={"t2": 2})) == {"lost": 1}


def test_a_cancelled_task_need_not_have_begun() -> None:
    states = (STATES[0], State("s2", "CANCELLED", "Cancelled"))
    evidence = with_run(GOOD, "t1", replace(GOOD.runs["t1"], states=states))
    evidence = replace(evidence, begun={"t2": 2}, records={**GOOD.records, "t1": told(states)})
    document = Document("Cancelled", "s2", {"level": 2}, 3)
    assert found(replace(evidence, documents={**GOOD.documents, "t1": document})) == {}


def test_more_beginnings_than_attempts_are_a_doubled_task() -> None:
    assert found(replace(GOOD, begun={"t1": 2, "t2": 2})) == {"doubled": 1}
    assert found(replace(GOOD, begun={"t1": 1, "t2": 3})) == {"doubled": 1}


def test_fewer_beginnings_than_attempts_are_none() -> None:
    """A node can die between Running and user code."""
    assert found(replace(GOOD, begun={"t1": 1, "t2": 1})) == {}


def test_a_task_that_prefect_does_not_know_may_not_begin() -> None:
    assert found(replace(GOOD, begun={**GOOD.begun, "t9": 1})) == {"doubled": 1}


def test_going_on_after_a_pause_is_no_attempt() -> None:
    kinds = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "RUNNING", "RUNNING", "COMPLETED")
    assert Run("k", tuple(State(str(n), kind, kind) for n, kind in enumerate(kinds))).attempts == 1


def test_a_retry_inside_the_process_is_an_attempt() -> None:
    kinds = ("SCHEDULED", "PENDING", "RUNNING", "SCHEDULED", "RUNNING", "COMPLETED")
    assert Run("k", tuple(State(str(n), kind, kind) for n, kind in enumerate(kinds))).attempts == 2


@pytest.mark.parametrize("missing", range(4))
def test_a_state_without_a_record_is_missing(missing: int) -> None:
    records = [record for place, record in enumerate(told(STATES)) if place != missing]
    assert found(with_records("t1", *records)) == {"states_missing": 1}


def test_every_missing_state_counts() -> None:
    assert found(with_records("t1")) == {"states_missing": 4}


def test_repeats_by_id_are_allowed() -> None:
    records = told(STATES)
    assert found(with_records("t1", *records[:2], *records, records[0])) == {}


def test_records_in_another_order_are_out_of_order() -> None:
    first, second, *rest = told(STATES)
    assert found(with_records("t1", second, first, *rest)) == {"states_out_of_order": 1}


def test_a_record_with_a_wrong_number_is_out_of_order() -> None:
    *rest, last = told(STATES)
    assert found(with_records("t1", *rest, replace(last, sequence=5))) == {"states_out_of_order": 1}


def test_a_record_of_a_state_that_never_was_is_untrue() -> None:
    assert found(with_records("t1", *told(STATES), Record("s9", 5))) == {"states_untrue": 1}
    assert found(with_records("t9", Record("s9", 1))) == {"states_untrue": 1}


@pytest.mark.parametrize(
    "document",
    [
        Document("Running", "s4", {"level": 2}, 3),
        Document("Finished", "s3", {"level": 2}, 3),
        Document("Finished", "s4", {"level": 1}, 3),
        Document("Finished", "s4", {"level": 2}, 2),
    ],
)
def test_a_document_that_differs_is_a_mismatch(document: Document) -> None:
    assert found(with_document(document)) == {"archive_mismatch": 1}


def test_a_task_without_a_document_is_a_mismatch() -> None:
    assert found(replace(GOOD, documents={"t2": GOOD.documents["t2"]})) == {"archive_mismatch": 1}


def test_an_answered_update_that_prefect_does_not_have_is_lost() -> None:
    assert found(replace(GOOD, answered={"t1": 4})) == {"updates_lost": 1}


@pytest.mark.parametrize(
    ("field", "kind"),
    [("immortal_keys", "keys_without_ttl"), ("orphans", "orphans"), ("leaked_leases", "leaked_leases")],
)
def test_what_was_found_elsewhere_is_counted_and_said(field: str, kind: str) -> None:
    findings: dict[str, Any] = {field: ["one", "another"]}
    evidence = replace(GOOD, **findings)
    assert found(evidence) == {kind: 2}
    assert judge(evidence).sentences() == [f"{kind}: one", f"{kind}: another"]
