"""What one call of `skald` was given, and the settings that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

if TYPE_CHECKING:
    from skald_bridge.settings import Settings


@dataclass(frozen=True)
class Invocation:
    config: Path | None
    debug: bool

    def settings(self, **flags: Any) -> Settings:
        """Flags over environment over file; logs are set up by them.

        Raises:
            InvalidInput, NotFound: see ``settings.file.load``.
        """
        from skald_bridge.settings.file import load

        return load(self.config, {**flags, **({"log_level": "DEBUG"} if self.debug else {})})


def invocation(context: typer.Context) -> Invocation:
    """Also works for a command that is called on its own, in a test."""
    return cast(Invocation, context.obj) if context.obj is not None else Invocation(None, False)
