"""Commands that are imported when they run, so that `skald --help` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from skald_bridge.cli.exit_codes import SUMMARY


class LazyCommand(TyperCommand):
    """Stands for ``function`` of ``module`` until it is called."""

    def __init__(self, name: str, module: str, function: str, summary: str) -> None:
        super().__init__(name, callback=None, help=summary, short_help=summary)
        self._module = module
        self._function = function

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, *rest, **extra)

    def load(self) -> Any:
        """The real command, or group of commands."""
        function = getattr(import_module(self._module), self._function)
        if isinstance(function, typer.Typer):
            return typer.main.get_command(function)
        app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        app.command(self.name, epilog=EXIT_CODES)(function)
        return typer.main.get_command(app)


EXIT_CODES = f"{SUMMARY} Every error names its remedy."


def group(commands: dict[str, tuple[str, str]]) -> type[TyperGroup]:
    """A group of lazy commands: name to (``module:function``, summary)."""

    class Lazy(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = {}
            for name, (target, summary) in commands.items():
                module, _, function = target.partition(":")
                self.commands[name] = LazyCommand(name, module, function, summary)

    return Lazy
