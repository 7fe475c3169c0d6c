"""Under another controller, a task that was given to us beats from then on."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock

from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.mirror import Known
from skald_bridge.ports import Found
from skald_bridge.services.early_heartbeats import EarlyHeartbeats
from skald_bridge.services.task_cache import TaskCache

NODE = NodeId("house-1")


def given(task: str) -> Found:
    return Found(task, {"id": task, "className": "Camera", "executor": NODE})


async def look(memory: TaskCache, *tasks: str) -> Any:
    documents = AsyncMock()
    documents.assigned.return_value = [given(task) for task in tasks]
    await EarlyHeartbeats(documents, memory, lambda: [NODE]).step()
    return documents


async def test_it_beats_before_anything_else_is_known_of_it() -> None:
    memory = TaskCache()
    documents = await look(memory, "a", "b")
    assert [task.id for task in memory.beating()] == ["a", "b"]
    assert documents.assigned.await_args.args[0] == [NODE]
    memory.keep(TaskId("a"), Known(None, None))
    assert [task.id for task in memory.beating()] == ["a", "b"]


async def test_it_stops_where_the_document_is_no_longer_given_to_us() -> None:
    memory = TaskCache()
    await look(memory, "a", "b")
    await look(memory, "b")
    assert [task.id for task in memory.beating()] == ["b"]
