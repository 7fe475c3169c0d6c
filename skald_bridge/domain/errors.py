"""Errors a person sees: one sentence, the field where there is one, and the remedy."""

from __future__ import annotations


class SkaldError(Exception):
    """Base of all errors of this product. ``exit_code`` is what the command line ends with."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  Remedy: {self.remedy}" if self.remedy else self.message


class InvalidInput(SkaldError):
    """The caller's input is wrong: exit code 2."""

    exit_code = 2


class NotFound(SkaldError):
    """No such task, node, deployment or file: exit code 3."""

    exit_code = 3


class Unavailable(SkaldError):
    """A service that is needed does not answer: exit code 4."""

    exit_code = 4


class Denied(Unavailable):
    """A service does not let us: its credentials or rights are wrong. Exit code 5."""

    exit_code = 5


class Failing(Unavailable):
    """A service answers, and fails at this question; at others it may not."""


def is_away(error: BaseException) -> bool:
    """Whether a service as a whole is not to be had, and not only what was asked of it."""
    return isinstance(error, Unavailable) and not isinstance(error, Failing)


class Undeliverable(SkaldError):
    """A store takes everything but this: it is too large, cannot be encoded, or is of a wrong type."""


class Rejected(SkaldError):
    """The task or the server refused the command: exit code 5."""

    exit_code = 5
