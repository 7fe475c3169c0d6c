"""Task documents that others write, and who announces itself beside us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.skalds_nodes import SkaldsNode


@dataclass(frozen=True)
class Found:
    """A document as it is stored; ``ref`` is the store's own name for it.

    ``digest`` is another for every change of it. ``problem``: why it cannot be read; ``data`` are what can.
    """

    ref: Any
    data: Mapping[str, Any]
    digest: str = ""
    problem: str | None = None


class Documents(Protocol):
    """Task documents that others write. Methods raise ``Unavailable``."""

    async def created(self, limit: int) -> list[Found]:
        """Status Created and mode Passive, and no task of it is known here; the most urgent first."""
        ...

    async def again(self, limit: int) -> list[Found]:
        """Those of ended tasks that somebody set to Created again."""
        ...

    async def assigned(self, executors: Sequence[NodeId], limit: int) -> list[Found]:
        """Status Assigning, meant for one of these executors, and no task of it is known here."""
        ...

    async def get(self, task: TaskId) -> Found | None: ...

    async def assign(self, new: NewTask, node: NodeId, now: datetime) -> None:
        """Status Assigning and this executor; the document is made where there is none."""
        ...

    async def want(self, task: TaskId, attachments: Mapping[str, Any]) -> None:
        """Write the attachments that the task is to have."""
        ...

    async def refuse(self, ref: Any, reason: str, now: datetime) -> None:
        """Mark as Failed a document that no task was made of.

        Raises:
            InvalidInput: the store does not take that, whatever time passes.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Yields whenever a document may have become Created or Assigning; ends with the connection.

        Raises:
            Unavailable: the store does not tell of changes, or does not answer.
        """
        ...


class Peers(Protocol):
    """Skalds nodes and ours, as they announce themselves. Methods raise ``Unavailable``."""

    async def nodes(self) -> list[SkaldsNode]: ...

    async def forget(self, task: TaskId) -> None:
        """The last heartbeat of an earlier attempt is none of the next one's."""
        ...
