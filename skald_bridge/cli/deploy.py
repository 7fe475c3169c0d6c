"""`skald deploy [DIR]`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import say
from skald_bridge.domain.errors import InvalidInput, NotFound


def deploy(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="A folder with a prefect.yaml. [default: the flows of this package]"
        ),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", "-n", help="Only this deployment; may be repeated.")
    ] = None,
) -> None:
    """Deploy the flows of a folder, or those of this package.

    It is `prefect deploy`, without questions. Work pools that are missing are made, for nodes.
    """
    connect(invocation(context).settings())
    chosen = folder if folder is not None else _bundled()
    pools = _pools(chosen / "prefect.yaml", name or [])
    from skald_bridge.main import ensure_pools

    for made in asyncio.run(ensure_pools(pools)):
        say(f"created work pool {made}, type skald")
    which = [word for one in name for word in ("--name", one)] if name else ["--all"]
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *which]
    done = subprocess.run(command, cwd=chosen, stdin=subprocess.DEVNULL, env=dict(os.environ), check=False)
    if done.returncode != 0:
        raise typer.Exit(1)


def _pools(file: Path, names: list[str]) -> list[str]:
    """The work pools that the deployments of a prefect.yaml name."""
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        entries = [entry for entry in data["deployments"] if not names or entry.get("name") in names]
        found = [pool["name"] for entry in entries if (pool := entry.get("work_pool")) and pool.get("name")]
    except FileNotFoundError:
        raise NotFound(
            f"{file.parent} holds no prefect.yaml.", remedy="Name a folder that has one."
        ) from None
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{file} is no prefect.yaml with deployments: {error}.") from error
    return sorted(set(found))


def _bundled() -> Path:
    from skald_bridge.installation.bundled import flows_root

    try:
        return flows_root()
    except FileNotFoundError as error:
        raise NotFound(str(error)) from error
