"""What is published on Kafka."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """``key`` decides the partition: messages of one key stay in order."""

    topic: str
    key: str
    value: bytes
