"""What `skald` ends with; `docs/cli.md` explains them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NOT_FOUND = 3
    NO_ANSWER = 4
    REFUSED = 5
    INTERRUPTED = 130


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.NO_ANSWER: "a service does not answer",
    ExitCode.REFUSED: "refused",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
}
SUMMARY = f"Exit codes: {', '.join(f'{int(code)} {said}' for code, said in _MEANINGS.items())}."
