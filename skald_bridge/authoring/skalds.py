"""What users of Skalds' worker classes write against, without Kafka, Redis or a process of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from uuid import uuid4

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)
F = TypeVar("F", bound=Callable[..., Any])
HOOK = "_skald_lifecycle_hook"


def _hook(name: str) -> Callable[[F], F]:
    def mark(method: F) -> F:
        setattr(method, HOOK, name)
        return method

    return mark


run_before_handler = _hook("_custom_run_before")
run_main_handler = _hook("_custom_run_main")
run_after_handler = _hook("_custom_run_after")
release_handler = _hook("_custom_release")
update_event_handler = _hook("_custom_update_event")


class BaseTaskWorker(ABC, Generic[T]):
    """Derive from ``BaseTaskWorker[MyAttachments]`` and mark methods with the decorators of this module.

    Order: ``initialize``, before, main, after, release. Attributes: ``task_id``, ``task_type``,
    ``dependencies``, ``is_done`` (true once the release begins).
    """

    def __init__(self, task: Any = None, redis_config: Any = None, kafka_config: Any = None) -> None:
        self.is_done = False
        self.task_id: str = f"MOCK_TASK_{uuid4().hex[:8]}" if task is None else task.id
        self.task_type: str = type(self).__name__ if task is None else task.class_name
        self.dependencies: list[str] = [] if task is None else list(task.dependencies or [])
        if task is not None:
            self.initialize(task.attachments)

    @abstractmethod
    def initialize(self, data: T) -> None:
        """Take the attachments; the first call of all."""
