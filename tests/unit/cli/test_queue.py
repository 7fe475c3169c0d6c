"""`skald queue`: its table at any width, and what it says of what it leaves out."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from rich.cells import cell_len
from rich.console import Console

from skald_bridge.cli.queue import _shown
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.queue import Queued, Row
from skald_bridge.domain.why import Waiting
from skald_bridge.domain.words import needs_text
from skald_bridge.services.queue import ExplainedPage
from skald_work_pools.needs import Needs
from tests.unit.bridge.facts import state, task

NOW = datetime.now(UTC)


def row(number: int, place: int | None = 1) -> Row:
    name = f"[bold]otter[/] {number}\x1b[31m"
    made = replace(task(state(1, StateType.SCHEDULED)), id=TaskId(f"0000000{number}"), name=name, pool="cpu")
    needs = Needs(cpus=2, memory=4 * 10**9, gpu_memory=8 * 10**9, tags=frozenset({"cuda"}))
    since = NOW - timedelta(seconds=90) if place else None
    later = None if place else NOW + timedelta(hours=1)
    why = ("It waits for room on a node of the pool cpu; online: n1.", "node n1: needs 2 cpus, 1 free")
    return Row(Queued(made, Waiting(None, since, needs=needs), place), since, later, why)


def printed(page: ExplainedPage, width: int, offset: int = 0) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(_shown(page, offset))
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_no_line_is_wider_and_each_task_is_one_line(width: int) -> None:
    lines = printed(ExplainedPage([row(1), row(2, None)], 1, 1), width).splitlines()
    assert len(lines) == 3
    assert all(cell_len(line) <= width for line in lines), lines
    assert re.search(r"\dm\d\ds", lines[1])


def test_the_narrower_the_fewer_columns_and_why_stays_longest() -> None:
    page = ExplainedPage([row(1)], 1, 0)
    heads = [set(printed(page, width).split("\n")[0].split()) for width in (300, 120, 80, 50)]
    assert all(narrow <= wide for wide, narrow in pairwise(heads))
    assert {"ID", "WAITS", "WHY"} <= heads[2] and "NAME" not in heads[2]


def test_names_steer_no_terminal() -> None:
    shown = printed(ExplainedPage([row(1)], 1, 0), 300)
    assert "[bold]otter[/] 1\\x1b[31m" in shown and "\x1b" not in shown


@pytest.mark.parametrize(
    ("page", "offset", "says"),
    [
        (ExplainedPage([], 0, 0), 0, "Nobody waits."),
        (ExplainedPage([], 0, 3), 0, "3 to start at a later time: --all"),
        (ExplainedPage([row(1)], 40, 0), 10, "29 more wait: --offset 11"),
        (ExplainedPage([], 40, 0), 50, "40 wait; --offset passes over all of them."),
    ],
)
def test_what_is_left_out_is_said(page: ExplainedPage, offset: int, says: str) -> None:
    assert says in printed(page, 120, offset)


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        (Needs(), ""),
        (Needs(cpus=1, memory=10**9), "1 cpu, 1.0 GB"),
        (Needs(gpus=2), "2 gpus"),
        (Needs(gpu_memory=2 * 10**9, nvdec=1), "1 gpu with 2.0 GB and 1 decoder"),
        (Needs(cpus=0.5, tags=frozenset({"b", "a"})), "0.5 cpus, tag a, tag b"),
    ],
)
def test_needs_in_words(needs: Needs, text: str) -> None:
    assert needs_text(needs) == text
