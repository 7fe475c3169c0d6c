"""Settings of Skalds that are accepted and change nothing here, each with the reason; pure."""

from __future__ import annotations

from collections.abc import Iterator

from skald_bridge.settings.model import Settings

_NODES = "Prefect tells of nodes as they come and go, and the sweep looks by itself"
_TASKS = "Prefect tells of tasks as they change, and the sweep looks by itself"
_DOCUMENTS = "documents are heard of as they change"
WITHOUT_EFFECT = {
    "skald_env": "the same code runs in both",
    "monitor_skald_interval": _NODES,
    "monitor_task_interval": _TASKS,
    "monitor_heartbeat_timeout": "a task's death is told by its node, a node's by Prefect",
    "dispatcher_interval": _DOCUMENTS,
    "dispatcher_strategy": "a task goes to a node where it fits",
}
"""Why, by field."""


def without_effect(settings: Settings) -> Iterator[tuple[str, str]]:
    """Fields that somebody has set in vain, and why each does nothing; one set to its default is no matter."""
    for field, why in WITHOUT_EFFECT.items():
        if getattr(settings, field) != Settings.model_fields[field].default:
            yield field, why
