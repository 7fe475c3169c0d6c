from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from skald_work_pools.node.server.name_claims import (
    HEARTBEATS,
    INTERVAL,
    STARTING,
    Claimant,
    Holder,
    Keep,
    NameWatch,
    Refuse,
    Replace,
    judge,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
ME = Claimant("n", "gpu", life="mine")
HOLDER = Holder(uuid4(), "theirs", "box-7", 4711, claimed=LONG_AGO, beat=NOW - timedelta(seconds=20))
SILENT = replace(HOLDER, beat=NOW - HEARTBEATS * INTERVAL - timedelta(seconds=1))


def test_a_fresh_holder_is_left_alone_and_named() -> None:
    verdict = judge(HOLDER, ME, NOW)
    assert isinstance(verdict, Refuse)
    for said in ("'n'", "'gpu'", "box-7", "4711", "20 s ago", "--name"):
        assert said in verdict.message


@pytest.mark.parametrize("holder", [SILENT, replace(HOLDER, beat=None)])
def test_a_silent_holder_is_replaced_when_it_stays_silent_for_a_heartbeat(holder: Holder) -> None:
    """The server may have been away, and have heard nobody."""
    assert judge(holder, ME, NOW) == NameWatch()
    assert judge(holder, ME, NOW, holder, INTERVAL) == NameWatch()
    assert judge(holder, ME, NOW, holder, 1.5 * INTERVAL) == Replace()
    heard = replace(holder, beat=NOW)
    assert isinstance(judge(heard, ME, NOW, holder, 1.5 * INTERVAL), Refuse)


def test_a_holder_that_beats_faster_is_given_up_sooner() -> None:
    quick = replace(HOLDER, interval=timedelta(seconds=1))
    assert judge(quick, ME, NOW, quick, timedelta(seconds=2)) == NameWatch()
    assert judge(quick, ME, NOW, quick, timedelta(seconds=3)) == Replace()


@pytest.mark.parametrize("interval", [timedelta(seconds=1), INTERVAL])
def test_a_holder_that_has_just_claimed_the_name_gets_the_time_for_its_first_heartbeat(
    interval: timedelta,
) -> None:
    starting = replace(HOLDER, beat=None, interval=interval, claimed=NOW - STARTING)
    assert isinstance(judge(starting, ME, NOW), Refuse)
    late = replace(starting, claimed=NOW - max(STARTING, HEARTBEATS * interval) - timedelta(seconds=1))
    assert judge(late, ME, NOW) == NameWatch()


def test_a_life_that_held_this_lock_under_this_kernel_is_dead_however_fresh() -> None:
    assert (
        judge(HOLDER, replace(ME, earlier=frozenset({"theirs"}), dead=frozenset({"theirs"})), NOW)
        == Replace()
    )


def test_a_life_from_before_a_boot_is_watched_until_it_is_heard_of_or_silent() -> None:
    """After a boot it is dead; on a machine whose disk was copied from another one it lives there."""
    me = replace(ME, earlier=frozenset({"theirs"}))
    assert judge(HOLDER, me, NOW) == NameWatch()
    assert judge(HOLDER, me, NOW + timedelta(seconds=30), HOLDER) == NameWatch()
    assert judge(SILENT, me, NOW, SILENT, 2 * INTERVAL) == Replace()
    beaten = replace(HOLDER, beat=NOW)
    assert isinstance(judge(beaten, me, NOW, HOLDER), Refuse)


def test_one_s_own_claim_whose_answer_was_lost_is_kept() -> None:
    assert judge(replace(HOLDER, life="mine"), ME, NOW) == Keep()


def test_a_claim_that_names_no_life_proves_nothing() -> None:
    nameless = replace(HOLDER, life="")
    assert isinstance(judge(nameless, replace(ME, life=""), NOW), Refuse)
