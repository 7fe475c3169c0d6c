"""Items that could not be handled: what they were, where they lay, and why nothing came of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MOST_REASON = 4000
"""Characters."""


class Kind(StrEnum):
    """What an item is; ``name`` of each says which."""

    RECORD = "record"
    """Of Kafka: topic/partition/offset."""
    DOCUMENT = "document"
    """Of MongoDB, written by others: the task's id, or the document's."""
    TASK = "task"
    """What Prefect says of a task that the journal or archive does not take: its id."""
    RUN = "run"
    """Of Prefect, which cannot be read: its id, or its place in the list."""
    DELIVERY = "delivery"
    """What a relay could not deliver: the relay, and the task's id."""


@dataclass(frozen=True)
class DeadLetter:
    """An item that could not be handled.

    ``defect``: no rule of ours refused it; its handling failed in a way that nobody had foreseen.
    """

    kind: Kind
    name: str
    reason: str
    at: datetime
    defect: bool = True
    key: bytes | None = None
    body: bytes | None = None
    """A record as it was."""

    @property
    def id(self) -> str:
        return f"{self.kind.value}:{self.name}"


def readable(text: str) -> str:
    """Valid Unicode, whatever it was."""
    return text.encode(errors="backslashreplace").decode()


def reason_of(error: BaseException) -> str:
    """In one line; bounded."""
    said = " ".join(readable(str(error)).split()) or "no message"
    return f"{type(error).__name__}: {said}"[:MOST_REASON]
