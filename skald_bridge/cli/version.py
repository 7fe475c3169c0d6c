"""`skald version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed
from typing import Annotated

import typer

from skald_bridge.cli.output import print_json


def version(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the versions of skald, Prefect and Python."""
    found = {
        "skald": installed("prefect-skald"),
        "prefect": installed("prefect"),
        "python": platform.python_version(),
    }
    if as_json:
        print_json(found)
    else:
        typer.echo(", ".join(f"{name} {number}" for name, number in found.items()))
