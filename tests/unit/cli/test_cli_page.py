"""docs/cli.md and the commands say the same: commands, exit codes, shapes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from skald_bridge.cli.app import COMMANDS
from skald_bridge.cli.exit_codes import SUMMARY, ExitCode
from skald_bridge.cli.logs import line_json
from skald_bridge.cli.rejected import letter_json
from skald_bridge.cli.shapes import event_json, node_json, queued_json, state_json, subtask_json, task_json
from skald_bridge.cli.types import field_json, type_json
from skald_bridge.domain import errors
from skald_bridge.domain.dead_letters import DeadLetter, Kind
from skald_bridge.domain.facts import Node, Subtask
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.log_entries import LogEntry
from skald_bridge.domain.queue import Queued, Row
from skald_bridge.domain.task_types import deployed_type
from skald_bridge.domain.usage import NodeFacts
from skald_bridge.domain.why import Waiting
from tests.contract.records import record, task_id
from tests.unit.bridge.facts import state, task

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_command_is_in_it_in_the_order_of_the_help() -> None:
    assert [cells[0] for cells in rows("Commands")] == [f"`skald {name}`" for name in COMMANDS]


def test_exit_codes_are_those_that_commands_end_with() -> None:
    documented = {int(cells[0]) for cells in rows("Exit codes")}
    assert documented == {int(code) for code in ExitCode}
    known = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert {kind.exit_code for kind in known if issubclass(kind, errors.SkaldError)} <= documented
    assert {int(code) for code in re.findall(r"(\d+) \w", SUMMARY)} == documented
    for cells in rows("Commands"):
        assert {int(code) for code in cells[2].split(", ")} <= documented, cells[0]


def shapes() -> dict[str, dict[str, Any]]:
    known = task(None)
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    row = {"name": "d", "parameter_openapi_schema": schema}
    made = deployed_type("T", [row], ())
    said = record(task_id(), 1)
    letter = DeadLetter(Kind.RECORD, "n", "r", NOW)
    return {
        "task": task_json(known),
        "state": state_json(state(1, StateType.RUNNING)),
        "subtask": subtask_json(Subtask("i", "n", "Running", 1, 1.0)),
        "log entry": line_json(LogEntry("i", NOW, 20, "stdout", "x")),
        "event": event_json(1, said),
        "node": node_json(NodeFacts.of(Node(NodeId("n"), "p", True, NOW), ())),
        "waiting task": queued_json(Row(Queued(known, Waiting(None)), None, None, ())),
        "task type": type_json(made),
        "field": field_json(made.fields[0]),
        "deployment": type_json(made)["deployments"][0],
        "item": letter_json(letter),
    }


@pytest.mark.parametrize("name", [cells[0] for cells in rows("Shapes")])
def test_a_shape_has_the_fields_that_are_documented(name: str) -> None:
    documented = next(cells[1] for cells in rows("Shapes") if cells[0] == name)
    assert re.findall(r"`(\w+)`", documented) == list(shapes()[name])
