"""Kafka's two directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from skald_bridge.domain.commands import Received
from skald_bridge.domain.messages import Message


class Publisher(Protocol):
    """Kafka."""

    async def publish(self, messages: Sequence[Message]) -> list[tuple[Message, str]]:
        """Returns when all are stored for good, those of one key in this order; waits while Kafka is away.

        Returns those that Kafka refuses for what they are, and why. Others of their keys may be stored twice.

        Raises:
            Unavailable: Kafka will not take any, whatever time passes.
        """
        ...


class Subscription(Protocol):
    """Kafka's records for this bridge, at least once."""

    async def receive(self, most: int, wait: float) -> list[Received]:
        """The next records, in order per key; none when ``wait`` seconds brought nothing. Raises ``Unavailable``."""
        ...

    async def commit(self, records: Sequence[Received]) -> None:
        """These are done: they are not received again. Raises ``Unavailable``."""
        ...
