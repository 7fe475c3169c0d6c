"""`skald rejected`: what the bridge could not handle."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from skald_bridge.cli.bridge import journal_file
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import ago, console, plain, print_json, table
from skald_bridge.cli.tables import Column
from skald_bridge.domain.dead_letters import DeadLetter
from skald_bridge.domain.errors import InvalidInput, NotFound

_SHOWN = 2000


def rejected(
    context: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Of items that the list shows.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Have the running bridge handle these items once more.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --replay: all items.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List what the bridge could not handle; have it tried again.

    Records, documents and tasks that were refused with a reason are not here: task.rejected, the document's
    exception and `skald task` say why.
    """
    path = journal_file(invocation(context).settings().home)
    letters = asyncio.run(_read(path))
    if replay:
        _replay(path, letters, None if everything else ids or [])
        return
    if everything:
        raise InvalidInput("--all goes with --replay.", remedy="Leave it out, or add --replay.")
    chosen = [_named(letters, id_) for id_ in ids] if ids else letters[:limit]
    if as_json:
        print_json([letter_json(letter) for letter in chosen])
    elif ids:
        for letter in chosen:
            _show(letter)
    else:
        _list(chosen, len(letters))


def letter_json(letter: DeadLetter) -> dict[str, Any]:
    """``body`` and ``key`` are Base64."""
    return {
        "id": letter.id,
        "kind": letter.kind.value,
        "name": letter.name,
        "reason": letter.reason,
        "at": letter.at.isoformat(),
        "defect": letter.defect,
        "key": base64.b64encode(letter.key).decode() if letter.key is not None else None,
        "body": base64.b64encode(letter.body).decode() if letter.body is not None else None,
    }


async def _read(path: Path) -> list[DeadLetter]:
    from skald_bridge.stored import dead_letters

    return await dead_letters(path)


def _replay(path: Path, letters: list[DeadLetter], ids: list[str] | None) -> None:
    from skald_bridge.stored import ask_again

    if ids is not None and not ids:
        raise InvalidInput("No item is named.", remedy="Name some by their ids, or add --all.")
    chosen = letters if ids is None else [_named(letters, id_) for id_ in ids]
    count = ask_again(path, [letter.id for letter in chosen])
    typer.echo(f"{count} to be handled once more; the bridge does it within seconds while it runs.")


def _named(letters: list[DeadLetter], id_: str) -> DeadLetter:
    for letter in letters:
        if id_ in (letter.id, letter.name):
            return letter
    raise NotFound(f"There is no rejected item {id_}.", remedy="`skald rejected` lists them.")


def _list(letters: list[DeadLetter], total: int) -> None:
    if not letters:
        typer.echo("Nothing was set aside.")
        return
    now = datetime.now(UTC)
    rows = [(plain(each.id), ago(each.at, now), plain(each.reason[:200])) for each in letters]
    screen = console()
    screen.print(
        table([Column("ITEM", enough=20), Column("WHEN", rank=1), Column("WHY", enough=20, wraps=True)], rows)
    )
    if total > len(letters):
        screen.print(f"{total - len(letters)} more; see them with --limit {total}.")


def _show(letter: DeadLetter) -> None:
    screen = console()
    screen.print(f"[bold]{plain(letter.id)}[/], {ago(letter.at, datetime.now(UTC))}")
    screen.print(plain(letter.reason))
    if letter.key is not None:
        screen.print(f"key: {plain(repr(letter.key)[:_SHOWN])}")
    if letter.body is not None:
        screen.print(f"{len(letter.body)} bytes: {plain(repr(letter.body[:_SHOWN]))}")
