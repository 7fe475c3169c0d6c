"""Tasks that another controller gave to our nodes beat from then on: to it, silence is death."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import RunningTask
from skald_bridge.ports import Documents
from skald_bridge.services.task_cache import TaskCache

PERIOD = 1.0
MOST = 5_000


class EarlyHeartbeats:
    """Looks for those that no run was made for yet; the rest the mirror knows."""

    def __init__(
        self, documents: Documents, memory: TaskCache, nodes: Callable[[], Sequence[NodeId]]
    ) -> None:
        self._documents = documents
        self._memory = memory
        self._nodes = nodes
        memory.early = True

    async def step(self) -> float:
        found = await self._documents.assigned(self._nodes(), MOST)
        self._memory.expect(
            RunningTask(TaskId(str(each.data.get("id"))), str(each.data.get("className"))) for each in found
        )
        return PERIOD
