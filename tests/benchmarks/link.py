"""How soon a task of REST is in user code on a node that holds a link to the bridge, beside one that holds none.

Both nodes are up the whole time, each on a pool of its own, behind one bridge and one Prefect; tasks are created one
after another, by turns. A task's clock starts just before its POST. The last line is one JSON object:
``linked_p50_s``, ``unlinked_p50_s`` and ``ratio``, how many times sooner; ``taken`` are the offers that the node took.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, running_server
from tests.services.rest import ENDED, Rest, running_rest

FLOWS = Path(__file__).parent / "flows" / "linked.py"
SIDES = ("linked", "unlinked")
_PATIENCE = 120.0


@dataclass(frozen=True)
class Sample:
    """Seconds from just before the POST."""

    created: float
    answered: float
    pending: float
    running: float
    user_code: float


_TOLD = {
    "created": "POST → created in Prefect",
    "answered": "POST → answered",
    "pending": "POST → claimed by the node",
    "running": "POST → Running",
    "user_code": "POST → user code",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.link", description=__doc__)
    parser.add_argument("--tasks", type=int, default=15, metavar="N", help="of each side")
    parser.add_argument("--json-only", action="store_true", help="no table, no progress")
    options = parser.parse_args()
    console = Console(quiet=options.json_only)
    samples: dict[str, list[Sample]] = {side: [] for side in SIDES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skald-bench-")))
        server = stack.enter_context(running_server(folder / "prefect"))
        rest = stack.enter_context(running_rest(server, folder / "home"))
        fleets = {side: stack.enter_context(_node(server, folder / side, side, rest)) for side in SIDES}
        for side in SIDES:
            _sample(fleets[side], rest, side)
        until(lambda: _begun(fleets["linked"], rest), _PATIENCE, "the linked node takes an offer")
        before = _taken(rest)
        for number in range(options.tasks):
            for side in SIDES:
                samples[side].append(_sample(fleets[side], rest, side))
            both = ", ".join(f"{side} {taken[-1].user_code:.3f} s" for side, taken in samples.items())
            console.print(f"{number + 1} of {options.tasks}: {both}", highlight=False)
        taken = _taken(rest) - before
    _show(console, samples, taken)
    print(json.dumps(figures(samples, taken)))


def figures(samples: dict[str, list[Sample]], taken: int) -> dict[str, object]:
    linked, unlinked = (statistics.median(each.user_code for each in samples[side]) for side in SIDES)
    return {
        "linked_p50_s": round(linked, 4),
        "unlinked_p50_s": round(unlinked, 4),
        "ratio": round(unlinked / linked, 2),
        "taken": taken,
    }


@contextmanager
def _node(server: PrefectServer, folder: Path, side: str, rest: Rest) -> Iterator[Fleet]:
    folder.mkdir()
    shutil.copy(FLOWS, folder / FLOWS.name)
    deployments = [{"name": side, "entrypoint": f"{FLOWS.name}:{side}"}]
    with fleet(server, folder, deployments, node=None) as made:
        env = {"SKALD_LINK": rest.url if side == "linked" else ""}
        with made.node(f"node-{side}", env=env):
            yield made


def _sample(made: Fleet, rest: Rest, side: str) -> Sample:
    file, task = made.folder / f"{uuid4().hex}.time", f"{side}-{uuid4().hex[:8]}"
    began = time.time()
    rest.do("POST", "/api/tasks/", {"id": task, "className": side, "attachments": {"file": str(file)}})
    answered = time.time()
    rest.reaches(task, *ENDED)
    (run,) = made.api("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [task]}}})
    states = {state["type"]: _moment(state["timestamp"]) for state in reversed(made.states(run["id"]))}
    times = (
        _moment(run["created"]),
        answered,
        states["PENDING"],
        states["RUNNING"],
        float(file.read_text()),
    )
    return Sample(*(moment - began for moment in times))


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _begun(made: Fleet, rest: Rest) -> bool:
    _sample(made, rest, "linked")
    return _taken(rest) > 0


def _taken(rest: Rest) -> int:
    found = re.search(
        r'^skald_offers_total\{outcome="taken"\} (\S+)$', rest.ask("GET", "/metrics").text, re.M
    )
    assert found is not None
    return int(float(found[1]))


def _show(console: Console, samples: dict[str, list[Sample]], taken: int) -> None:
    count = len(samples["linked"])
    table = Table("", "linked", "not linked", title=f"{count} tasks each, {taken} taken as offered; p50")
    for field in fields(Sample):
        table.add_row(
            _TOLD[field.name], *(_ms([getattr(each, field.name) for each in samples[side]]) for side in SIDES)
        )
    console.print(table)


def _ms(values: Sequence[float]) -> str:
    return f"{statistics.median(values) * 1000:.0f} ms"


if __name__ == "__main__":
    main()
