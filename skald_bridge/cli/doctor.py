"""`skald doctor`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, plain, print_json, styled, table
from skald_bridge.domain.plain_text import visible


def doctor(
    context: typer.Context,
    as_json: Annotated[
        bool,
        typer.Option("--json", help='{"ok": bool, "checks": [{name, status, detail, remedy, required}]}.'),
    ] = False,
) -> None:
    """Check this machine and the configured services; name remedies.

    Exit code 0 when nothing that is required has failed, else 1.
    """
    settings = invocation(context).settings()
    from skald_bridge.cli.checks import examine

    checks = []
    for check in examine(settings):
        checks.append(check)
        if not as_json and sys.stderr.isatty():
            typer.echo(f"\r{visible(check.name):<40}\r", err=True, nl=False)
    ok = not any(check.status == "failed" and check.required for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": [asdict(check) for check in checks]})
    else:
        rows = [[plain(c.name), styled(c.status), plain(c.detail)] for c in checks]
        screen = console()
        screen.print(table(["CHECK", "STATUS", "FOUND"], rows))
        for check in checks:
            if check.remedy and check.status != "ok":
                screen.print(f"{styled(check.status)} {plain(check.name)}: {plain(check.remedy)}")
        screen.print("All that is required is fine." if ok else "Something that is required is missing.")
    if not ok:
        raise typer.Exit(1)
