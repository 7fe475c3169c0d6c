"""`--media`, as `skald up` and `skald node` take it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from skald_bridge.settings import Settings

Media = Annotated[
    list[Path] | None,
    typer.Option(
        "--media",
        "-m",
        metavar="FOLDER",
        exists=True,
        file_okay=False,
        resolve_path=True,
        help="Folder that tasks may read their inputs from; may be repeated.",
    ),
]


def with_media(settings: Settings, folders: Sequence[Path] | None) -> Settings:
    """``folders`` besides the configured ones."""
    roots = (*settings.media_roots, *map(str, folders or ()))
    return settings.model_copy(update={"media_roots": roots})
