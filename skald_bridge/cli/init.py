"""`skald init [FILE]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skald_bridge.cli.output import say
from skald_bridge.domain.errors import InvalidInput


def init(
    file: Annotated[Path, typer.Argument(help="The file to write: .yaml or .toml.")] = Path("skald.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a configuration file that explains every setting."""
    from skald_bridge.settings.template import template

    text = template(file.suffix)
    if file.exists() and not force:
        raise InvalidInput(f"{file} is there already.", remedy="Name another file, or add --force.")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}.") from error
    say(f"wrote {file}; use it: skald --config {file} up")
