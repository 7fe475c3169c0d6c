"""Skalds' environment names, as blocks read them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import SecretStr

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class EnvironmentProblem(ValueError):
    """A variable is missing or cannot be used; the message says which, and what to do."""


class Environment:
    """``os.environ`` unless another mapping is given; an empty value is none."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str) -> str | None:
        return self._values.get(name, "").strip() or None

    def required(self, name: str, example: str) -> str:
        """Raises ``EnvironmentProblem``."""
        if (value := self.text(name)) is None:
            raise EnvironmentProblem(f"{name} is not set. Set it, as in {name}={example}.")
        return value

    def secret(self, name: str) -> SecretStr | None:
        # Not stripped: a password may begin or end with a space.
        return SecretStr(value) if (value := self._values.get(name)) else None

    def port(self, name: str, default: int) -> int:
        """Raises ``EnvironmentProblem``."""
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or not 0 < int(value) < 65536:
            raise EnvironmentProblem(f"{name} is {value!r}. Set it to a port, 1 to 65535.")
        return int(value)

    def flag(self, name: str) -> bool:
        """False where it is not set. Raises ``EnvironmentProblem``."""
        value = (self.text(name) or "false").lower()
        if value not in (*_TRUE, *_FALSE):
            raise EnvironmentProblem(f"{name} is {value!r}. Set it to true or false.")
        return value in _TRUE
