"""`skald run [FILE]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from skald_bridge.cli.connect import configured_url, connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.log_setup import start_logging
from skald_bridge.settings import Mode
from skald_bridge.settings.file import as_environment


def run(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A Skalds YAML file. [default: YAML_FILE]")
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option("--mode", "-m", case_sensitive=False, help="[default: SKALD_MODE, else node]"),
    ] = None,
    imports: Annotated[
        list[str] | None,
        typer.Option("--import", "-i", help="A module or file that has the task types; may be repeated."),
    ] = None,
    skald_id: Annotated[
        str | None, typer.Option("--id", help="Name of this Skald. [default: SKALD_ID]")
    ] = None,
) -> None:
    """Run a Skalds YAML file: as edge, node or single process.

    edge: every entry becomes a task. node: tasks come from elsewhere. single_process: the first entry, in
    this process, without any server; the exit code is its result. scheduler: server and bridge, no node.
    """
    call = invocation(context)
    settings = call.settings(
        yaml_file=file, skald_mode=mode, skald_id=skald_id, imports=tuple(imports) if imports else None
    )
    os.environ.update(as_environment(settings))
    if settings.skald_mode is Mode.SCHEDULER:
        from skald_bridge.cli.up import run_up

        run_up(settings, with_node=False)
        return
    if settings.skald_mode is not Mode.SINGLE_PROCESS and configured_url(settings):
        connect(settings)
    start_logging(settings, settings.skald_id or settings.skald_mode.value)
    from skald_bridge import modes

    raise typer.Exit(modes.run(modes.options(settings)))
