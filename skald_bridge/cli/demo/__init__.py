"""`skald demo`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from skald_bridge.cli.exit_codes import ExitCode
from skald_bridge.cli.output import console, plain, print_json
from skald_bridge.cli.shapes import task_json
from skald_bridge.domain.errors import InvalidInput, SkaldError

if TYPE_CHECKING:
    from skald_bridge.cli.demo.stage import Stage
    from skald_bridge.cli.demo.story import View

LIVE_SECONDS = 20.0
_PART_SECONDS = 4.0
_LONG_PART_SECONDS = 20.0
_TAIL = 12


def demo(
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="FILE_OR_URL", help="Your own video: a file, or an RTSP or HTTP URL."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for all that is made.", show_default=True)
    ] = Path("skald-demo"),
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port of Prefect's server. [default: a free one]"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it running afterwards, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Run the demonstration: a media job on real footage, on two nodes.

    Starts a Prefect server, a bridge and two nodes on this machine, deploys the product's flows, and works
    on a video: probe, split, transcode and analyze each part on any node, merge, contact sheet, report. One
    subtask fails and is retried, the look is changed on the way, one task is cancelled. Ends with no
    process left.
    """
    shown = Console(stderr=True) if as_json else console()
    home = out.absolute()
    home.mkdir(parents=True, exist_ok=True)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        _perform(shown, home, input_, port, keep, as_json)
    except KeyboardInterrupt:
        shown.print("Stopped; nothing is left running.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _perform(
    shown: Console, home: Path, given: str | None, port: int | None, keep: bool, as_json: bool
) -> None:
    from skald_bridge.cli.demo.screen import Screen
    from skald_bridge.cli.demo.stage import settle, stage

    screen = Screen(shown)
    screen.tell(f"everything that is made goes to {home}")
    chosen = settle(home, port)
    attachments, roots = _attachments(given)
    os.environ["SKALD_MEDIA_ROOTS"] = os.pathsep.join(
        filter(None, [os.environ.get("SKALD_MEDIA_ROOTS"), *roots])
    )
    with stage(home, chosen, screen.tell) as running:
        screen.tell(f"Prefect UI: {running.ui}")
        view, journal = asyncio.run(_play(screen, attachments, home))
        made = sorted(path for path in (home / "media" / "demo").rglob("*") if path.is_file())
        if as_json:
            print_json(_outcome(running, view, made))
        else:
            _show(shown, running, view, made, journal)
        if keep:
            shown.print(f"\nStill running: {running.ui}   Ctrl-C ends it.")
            threading.Event().wait()
    if not keep:
        shown.print(
            f"\nAll ended. To look around in the UI: skald demo --keep, or SKALD_HOME={plain(home)} skald up"
        )


def _attachments(given: str | None) -> tuple[dict[str, Any], list[str]]:
    """The pipeline's attachments, and folders its input may lie in."""
    from skald_bridge.cli.demo.story import OUTPUT
    from skald_bridge.media.footage import reel

    common = {"output": OUTPUT, "failOnce": 2, "parallel": 1}
    if given is None:
        source = reel()
        title = "bikes and Big Buck Bunny"
        return {**common, "input": str(source), "title": title, "partSeconds": _PART_SECONDS}, [
            str(source.parent)
        ]
    if "://" in given:
        return {**common, "input": given, "seconds": LIVE_SECONDS, "partSeconds": _PART_SECONDS}, []
    path = Path(given).expanduser().resolve()
    if not path.is_file():
        raise InvalidInput(f"--input {given}: there is no such file.", remedy="Give a video file, or a URL.")
    return {**common, "input": str(path), "title": path.name, "partSeconds": _LONG_PART_SECONDS}, [
        str(path.parent)
    ]


async def _play(screen: Any, attachments: dict[str, Any], home: Path) -> tuple[View, list[Any]]:
    from skald_bridge.cli.demo.story import Story
    from skald_bridge.quick import engine as prefect_engine
    from skald_bridge.stored import journal as open_journal

    async with prefect_engine(os.environ["PREFECT_API_URL"], None) as engine:
        with screen:
            view = await Story(engine, screen, attachments).play()
    async with open_journal(home / "journal.db") as journal:
        return view, await journal.tail(_TAIL)


def _show(shown: Console, running: Stage, view: View, made: list[Path], journal: list[Any]) -> None:
    from skald_bridge.cli.demo.screen import journal_tail, places, result_table, subtask_table

    shown.print()
    shown.print(result_table(view))
    shown.print()
    shown.print(subtask_table(view.subtasks))
    shown.print("\n[bold]The journal's tail[/] (all of it: skald events)")
    shown.print(journal_tail(journal))
    shown.print("\n[bold]Made[/]")
    shown.print(places(made))
    shown.print(f"\n[bold]Prefect UI[/]  {running.ui}/runs/flow-run/{view.pipeline.id}")
    if not made:
        raise SkaldError(
            "The pipeline ended, but nothing was made.", remedy=f"Read the logs in {running.home}/logs."
        )


def _outcome(running: Stage, view: View, made: list[Path]) -> dict[str, Any]:
    return {
        "ui": running.ui,
        "home": str(running.home),
        "tasks": [task_json(task) for task in view.tasks],
        "subtasks": [asdict(subtask) for subtask in view.subtasks],
        "files": [str(path) for path in made],
    }
