"""Tasks under faults, on the real services: nothing is lost, doubled or out of order, or it says what is.

The last line is one JSON object; the exit code is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.plan import FREEZE_SECONDS, plan
from tests.chaos.report import figures, table_of_counts, table_of_faults
from tests.chaos.run import Moment, Result, chaos

_SENTENCES = 60


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of an earlier run, to see the same faults again")
    parser.add_argument("--tasks", type=int, default=1000, metavar="N")
    parser.add_argument("--faults", type=int, default=24, metavar="N", help="8 are one round")
    parser.add_argument(
        "--freeze",
        type=float,
        default=FREEZE_SECONDS,
        metavar="S",
        help="seconds that a stopped one is stopped",
    )
    parser.add_argument("--json", action="store_true", help="the JSON line only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave logs and data in this new folder")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    console = Console(file=sys.stderr, quiet=options.json)
    print(f"seed {seed}", file=sys.stderr if options.json else sys.stdout, flush=True)
    with tempfile.TemporaryDirectory(prefix="skald-chaos-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            result = _watched(console, folder, seed, options.tasks, options.faults, options.freeze)
        except (pytest.skip.Exception, pytest.fail.Exception) as lacking:
            sys.exit(f"Error: a service does not start without what this machine lacks: {lacking}")
    console.print(table_of_faults(result))
    console.print(table_of_counts(result))
    for sentence in result.findings.sentences()[:_SENTENCES]:
        console.print(sentence, highlight=False, markup=False)
    print(json.dumps(figures(result)))
    sys.exit(not result.findings.clean)


def _watched(console: Console, folder: Path, seed: int, tasks: int, count: int, freeze: float) -> Result:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        faults = progress.add_task("faults", total=count)
        ended = progress.add_task("tasks", total=tasks)

        def told(moment: Moment) -> None:
            progress.update(faults, completed=moment.fault, description=moment.doing)
            progress.update(ended, completed=moment.ended)

        chosen = plan(seed, count, seconds=freeze)
        return chaos(folder, seed=seed, tasks=tasks, faults=chosen, told=told)


if __name__ == "__main__":
    main()
