"""The simulated day: what it counts is there to be seen."""

from __future__ import annotations

import pytest

from tests.benchmarks import simulation
from tests.benchmarks.simulated_day import Day, Terms
from tests.benchmarks.svg_plot import Line, Panel, picture

STORMY = Terms(nodes=40, hours=4, load=1.1, failures=0.5, bursts=2, seed=3)


def test_under_overload_and_failures_nothing_is_lost_doubled_or_overcommitted() -> None:
    result = Day(STORMY).run()
    assert result.failed_nodes > 30
    assert result.moved > 20
    assert any(wait > 60 for waits in result.waits.values() for wait in waits), "the queue is tried"
    assert (result.lost, result.double, result.overcommitted) == (0, 0, 0)


def test_the_same_seed_gives_the_same_day() -> None:
    first, second = (simulation.figures_of(Day(STORMY).run()) for _ in range(2))
    assert first == second


def test_a_task_that_nobody_takes_up_again_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Day, "_noticed", lambda day, node: day._fleet.remove(node.member.id))
    assert Day(STORMY).run().lost > 0


def test_a_node_that_is_given_more_than_it_has_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    release = Day._end

    def ends_late(day: Day, name: str, attempt: int) -> None:
        """The fleet is told of an end that is none."""
        if attempt == 1 and not day._tasks[name].ended:
            day._fleet.release(name, day._time())
            day._room = True
            return
        release(day, name, attempt)

    monkeypatch.setattr(Day, "_end", ends_late)
    assert Day(STORMY).run().overcommitted > 0


def test_the_picture_has_a_line_for_each_row_of_numbers() -> None:
    drawn = picture([Panel("In <use>", [Line("a", [(0, 1), (1, 2)]), Line("b", [(0, 3)])], 4)], 2)
    assert drawn.count("<path") == 2
    assert "In &lt;use&gt;" in drawn
