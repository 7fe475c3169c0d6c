"""Any error as one that a person can read: its cause and its remedy."""

from __future__ import annotations

from typing import Any

from skald_bridge.domain.errors import InvalidInput, SkaldError

_DEBUG = "See where it comes from: skald --debug COMMAND …"


def problem_of(error: Exception) -> SkaldError:
    """Errors of this product as they are; of what was typed as ``InvalidInput``; others by their cause."""
    if isinstance(error, SkaldError):
        return error
    if is_usage(error):
        return _usage(error)
    if isinstance(error, UnicodeEncodeError):
        return _no_text(error)
    if type(error).__name__ == "ValidationError" and callable(getattr(error, "errors", None)):
        return _refused_value(error)
    cause = _cause(error)
    text = " ".join(str(cause).split())
    said = f"{type(cause).__name__}: {text}" if text else type(cause).__name__
    return SkaldError(f"Unexpected {said}", remedy=_DEBUG)


def is_usage(error: Exception) -> bool:
    """Whether typer, or the click in it, did not take what was typed."""
    return hasattr(error, "format_message")


def _usage(error: Any) -> InvalidInput:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "skald"
    return InvalidInput(
        " ".join(str(error.format_message()).split()), remedy=f"`{path} --help` says what it takes."
    )


def _no_text(error: UnicodeEncodeError) -> SkaldError:
    shown = ascii(error.object[max(0, error.start - 20) : error.end + 20])
    if "surrogates" in error.reason:
        return InvalidInput(f"{shown} is no text in UTF-8.", remedy="Write it in UTF-8.")
    return SkaldError(
        f"{shown} cannot be shown: the output takes {error.encoding} alone.", remedy="Set PYTHONUTF8=1."
    )


def _refused_value(error: Any) -> InvalidInput:
    """Of pydantic: what Prefect's client does not send."""
    lines = []
    for found in error.errors():
        where = ".".join(str(part) for part in found["loc"])
        said = str(found["msg"]).removeprefix("Value error, ")
        lines.append(f"{where}: {said} (got {found.get('input')!r:.80})" if where else said)
    return InvalidInput("; ".join(lines), remedy="Write another value.")


def _cause(error: BaseException) -> BaseException:
    """The first error of a chain, and of a group: others only echo it."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            return error
