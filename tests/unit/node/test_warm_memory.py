from __future__ import annotations

import os

from skald_work_pools.node.processes.memory import KeptItem, proportional_memory, too_many


def test_what_was_unused_for_longest_goes_first() -> None:
    kept = [KeptItem("a", 10, used=1.0), KeptItem("b", 10, used=3.0), KeptItem("c", 10, used=2.0)]
    assert too_many(kept, 30) == []
    assert too_many(kept, 20) == ["a"]
    assert too_many(kept, 10) == ["a", "c"]
    assert too_many([], 0) == []


def test_the_one_used_last_stays_however_large() -> None:
    assert too_many([KeptItem("a", 99, used=1.0), KeptItem("b", 1, used=0.0)], 10) == ["b"]
    assert too_many([KeptItem("a", 99, used=1.0)], 10) == []


def test_a_process_has_a_size_and_one_that_is_gone_has_none() -> None:
    assert proportional_memory(os.getpid()) > 2**20
    assert proportional_memory(2**22 + 1) == 0
