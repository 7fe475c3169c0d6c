from __future__ import annotations

from skald_work_pools.node.forked.findings import Choice, Finding, choose

THREADS = Finding("imported", "its import starts threads")
CLOCK = Finding("late", "its import reads the clock")
FILE = Finding("imported", "its import leaves open: a file")


def test_code_against_which_nothing_stands_is_forked() -> None:
    assert choose([]) == Choice("forked", "")
    assert str(choose([])) == "forked"


def test_the_coldest_finding_decides_and_is_named() -> None:
    assert choose([THREADS, FILE]) == Choice("imported", THREADS.why)
    assert choose([THREADS, CLOCK, FILE]) == Choice("late", CLOCK.why)
    assert str(choose([CLOCK])) == "late: its import reads the clock"


def test_what_was_asked_for_holds_whatever_was_found() -> None:
    for asked in ("forked", "imported", "late", "cold"):
        assert choose([CLOCK, THREADS], asked).start == asked
