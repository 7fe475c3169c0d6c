"""``python -m skald_bridge.modes.entrypoints ENTRYPOINT…``: loads flows for good, where `prefect deploy` pretends.

Prefect deploys a flow whose file cannot be imported from what its text says. This says why it cannot: a JSON
object of ``FoundFlow`` a line on standard output, whatever the code prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skald_work_pools.task_type import declared

if TYPE_CHECKING:
    from prefect import Flow


@dataclass(frozen=True)
class FoundFlow:
    """``flow`` is its name; ``error`` why there is none, at ``where``: FILE:LINE.

    ``needs`` are its task type's.
    """

    entrypoint: str
    flow: str = ""
    error: str = ""
    where: str = ""
    warnings: list[str] = field(default_factory=list)
    needs: dict[str, Any] = field(default_factory=dict)


def examine(entrypoint: str) -> FoundFlow:
    """Load the flow of an entrypoint, relative to the working folder."""
    from prefect.flows import load_flow_from_entrypoint

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        except (Exception, SystemExit) as error:
            cause = getattr(error, "user_exc", None) or error
            text = " ".join(str(cause).split())
            return FoundFlow(entrypoint, error=f"{type(cause).__name__}: {text}", where=place(cause))
    said = [str(each.message) for each in heard if each.category is UserWarning]
    task_type = declared(flow)
    needs = task_type.needs.not_zero() if task_type is not None else {}
    return FoundFlow(entrypoint, flow.name, warnings=said, needs=needs)


def place(error: BaseException) -> str:
    """FILE:LINE of the user's line that failed: the last one under the working folder, or else the last of all."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    here = f"{Path.cwd()}{os.sep}"
    mine = [each for each in frames if str(Path(each[0]).absolute()).startswith(here)]
    prefects = f"{os.sep}prefect{os.sep}"
    others = [each for each in frames if not each[0].startswith("<frozen") and prefects not in each[0]]
    file, line = (mine or others or [("", None)])[-1]
    return f"{_short(file)}:{line}" if file else ""


def _short(file: str) -> str:
    try:
        return str(Path(file).absolute().relative_to(Path.cwd()))
    except ValueError:
        return file


def main() -> None:
    told = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(told, "w", encoding="utf-8") as out:
        for entrypoint in sys.argv[1:]:
            out.write(json.dumps(asdict(examine(entrypoint))) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
