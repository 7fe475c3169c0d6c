"""A few bytes of memory that a node shares with one child: what the node wants, read without any message."""

from __future__ import annotations

import mmap
import os
from typing import Literal

Intent = Literal["cancel", "reschedule"]
_INTENTS: dict[int, Intent] = {ord("c"): "cancel", ord("r"): "reschedule"}
_INTENT, _POLICY, _SUSPENDED, _HELD = 0, 1, 2, 3


class SharedFlags:
    """Both sides map the same memory file; each byte has one writer, but the child clears ``suspended``."""

    def __init__(self, fd: int) -> None:
        """Maps ``fd`` and keeps it open until ``close``."""
        self.fd = fd
        self._memory = mmap.mmap(fd, mmap.PAGESIZE)

    @classmethod
    def create(cls) -> SharedFlags:
        fd = os.memfd_create("skald-flags", os.MFD_CLOEXEC)
        os.ftruncate(fd, mmap.PAGESIZE)
        return cls(fd)

    @property
    def intent(self) -> Intent | None:
        """Why the node is about to send SIGTERM; ``None`` for a signal from anybody else."""
        return _INTENTS.get(self._memory[_INTENT])

    @intent.setter
    def intent(self, intent: Intent) -> None:
        self._memory[_INTENT] = ord(intent[0])

    @property
    def policy_stored(self) -> bool:
        """Whether the node has stored the flow's retry policy on the run."""
        return bool(self._memory[_POLICY])

    @policy_stored.setter
    def policy_stored(self, stored: bool) -> None:
        self._memory[_POLICY] = stored

    @property
    def suspended(self) -> bool:
        """Whether the run was seen Suspended: the child looks and ends at its next task boundary."""
        return bool(self._memory[_SUSPENDED])

    @suspended.setter
    def suspended(self, suspended: bool) -> None:
        self._memory[_SUSPENDED] = suspended

    @property
    def held(self) -> bool:
        """Whether the child should log no more until the node has room for it."""
        return bool(self._memory[_HELD])

    @held.setter
    def held(self, held: bool) -> None:
        self._memory[_HELD] = held

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)
