"""Decode times out of presentation times: rising, never later than the picture is shown."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.ordering import LOOKAHEAD, DecodeTimes


def times(shown: list[int]) -> list[int]:
    """As ``Ordering`` asks for them."""
    derive = DecodeTimes(shown[:LOOKAHEAD])
    waiting: deque[int] = deque(shown[:LOOKAHEAD])
    rest, found = shown[LOOKAHEAD:], []
    while waiting:
        if rest:
            waiting.append(rest.pop(0))
        found.append(derive.next(waiting))
        waiting.remove(min(waiting))
    return found


@pytest.mark.parametrize(
    ("shown", "decoded"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([0, 120, 40, 80, 240, 160, 200], [-40, 0, 40, 80, 120, 160, 200]),
        ([80, 0, 40], [-40, 0, 40]),
        ([7], [7]),
    ],
)
def test_known_orders(shown, decoded):
    assert times(shown) == decoded


@given(
    st.integers(1, 4).flatmap(lambda depth: st.lists(st.permutations(range(depth)), min_size=1, max_size=30))
)
def test_rising_and_never_after_the_picture(groups):
    depth = len(groups[0])
    shown = [40 * (index * depth + place) for index, group in enumerate(groups) for place in group]
    found = times(shown)
    assert found == sorted(found)
    first = LOOKAHEAD  # the delay is that of the first packets
    assert all(at <= pts for at, pts in list(zip(found, shown, strict=True))[:first])
