"""`skald types [NAME]`."""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import compact, console, plain, print_json, table
from skald_bridge.cli.tables import Column
from skald_bridge.domain.errors import NotFound
from skald_bridge.domain.task_types import Deployed, DeployedType, Field

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

_TYPES = [
    Column("TYPE", enough=24),
    Column("POOLS", rank=1, enough=12),
    Column("NEEDS", rank=3, enough=16),
    Column("FIELDS", rank=2, enough=20),
    Column("DESCRIPTION", rank=4, enough=20),
]
_FIELDS = [
    Column("FIELD", enough=24),
    Column("TYPE", rank=1, enough=16),
    Column("DEFAULT", rank=2, enough=10),
    Column("CHANGES", rank=3),
    Column("DESCRIPTION", enough=16, wraps=True),
]
_DEPLOYMENTS = [
    Column("DEPLOYMENT", enough=24),
    Column("POOL", enough=24),
    Column("QUEUE", rank=3, enough=24),
    Column("STATE"),
    Column("NEEDS", rank=1, enough=16),
    Column("DEFAULTS", rank=2, enough=16),
]
_CHANGES = {True: "yes", False: "no", None: ""}


def types(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A task type: all of its fields.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list, or one JSON object of the type that is named.")
    ] = False,
) -> None:
    """List task types, or show one: its fields, needs, deployments."""

    async def body(engine: Engine) -> None:
        found = await engine.task_types(name)
        if name is not None and not found:
            raise _unknown(name, await engine.class_names())
        if as_json:
            shown = [type_json(one) for one in found]
            print_json(shown if name is None else shown[0])
        elif name is not None:
            _show(console(), found[0])
        elif found:
            console().print(table(_TYPES, [_row(one) for one in found]))
        else:
            console().print("No task type is deployed. Deploy some: skald deploy")

    with_engine(invocation(context).settings(), body)


def type_json(found: DeployedType) -> dict[str, Any]:
    return {
        "name": found.name,
        "description": found.description,
        "fields": [field_json(field) for field in found.fields],
        "needs": found.needs,
        "deployments": [asdict(one) for one in found.deployments],
    }


def field_json(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type,
        "required": field.required,
        "default": field.default,
        "description": field.description,
        "canChangeWhileRunning": field.can_change,
    }


def _unknown(name: str, known: list[str]) -> NotFound:
    near = get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return NotFound(
        f"No task type {name!r} is deployed.{hint}",
        remedy="`skald types` lists them; `skald deploy` adds more.",
    )


def _row(found: DeployedType) -> list[str]:
    pools = dict.fromkeys(one.pool for one in found.deployments if one.pool)
    return [
        plain(found.name),
        plain(", ".join(pools)),
        plain(_pairs(found.needs)),
        plain(", ".join(f"{field.name}{'*' if field.required else ''}" for field in found.fields)),
        plain(found.description),
    ]


def _show(screen: Console, found: DeployedType) -> None:
    screen.print(f"[bold]{plain(found.name)}[/]  {plain(found.description)}".rstrip())
    if found.needs:
        screen.print(f"needs {plain(_pairs(found.needs))}")
    screen.print()
    if found.fields:
        rows = [
            [
                plain(field.name),
                plain(field.type),
                "[bold]required[/]" if field.required else plain(_default(field.default)),
                _CHANGES[field.can_change],
                plain(field.description),
            ]
            for field in found.fields
        ]
        screen.print(table(_FIELDS, rows))
        if any(field.can_change is None for field in found.fields):
            screen.print("Its code decides what can change while it runs; `skald update` says what it took.")
        else:
            screen.print("CHANGES: whether `skald update` can change it while the task runs.")
    else:
        screen.print("It has no fields.")
    screen.print()
    screen.print(table(_DEPLOYMENTS, [_deployment(one) for one in found.deployments]))


def _deployment(one: Deployed) -> list[str]:
    return [
        plain(one.name),
        plain(one.pool),
        plain(one.queue),
        "[yellow]paused[/]" if one.paused else "ready",
        plain(_pairs(one.needs)),
        plain(_pairs(one.defaults)),
    ]


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {compact(value)}" for name, value in values.items())


def _default(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
