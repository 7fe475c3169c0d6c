"""Hot updates of running tasks: numbered by the node, judged by the child, kept in Prefect when applied."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from cachetools import FIFOCache
from prefect.events import Event

from skald_work_pools.attachments import next_revision, update_id_of
from skald_work_pools.messages import (
    KEPT,
    POOL_RESOURCE,
    REVISION_LABEL,
    RUN_RESOURCE,
    UPDATE_APPLIED,
    UPDATE_REJECTED,
    Update,
    UpdateApplied,
    UpdateRejected,
)
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.event_resources import related, run_resource, tags_related

REMEMBERED = 10_000
_log = logging.getLogger("skald.node.updates")


class AttachmentUpdates:
    """``pool_id`` is what answers are related to, so that one subscription to the pool hears them."""

    def __init__(self, context: NodeContext, running: Mapping[str, RunSupervisor], pool_id: str) -> None:
        self._context = context
        self._running = running
        self._pool_id = pool_id
        self._answers: FIFOCache[str, UpdateApplied | UpdateRejected | None] = FIFOCache(REMEMBERED)
        self._storing = asyncio.Lock()
        self._kept: FIFOCache[str, None] = FIFOCache(REMEMBERED)
        """Updates that Prefect keeps already: their tasks were paused."""

    def hear(self, event: Event) -> None:
        """An update request; one for a run that is not here is somebody else's."""
        run_id = event.resource.id.removeprefix(RUN_RESOURCE)
        supervisor = self._running.get(run_id)
        if supervisor is None or supervisor.child is None:
            return
        if (update_id := update_id_of(event.payload)) is None:
            _log.warning("update of run %s ignored: it needs update_id, and changes or attachments", run_id)
            return
        if event.payload.get(KEPT):
            self._kept[update_id] = None
        if update_id in self._answers:
            if isinstance(refused := self._answers[update_id], UpdateRejected):
                self._take_back(supervisor, refused)
            if (known := self._answers[update_id]) is not None:
                self._emit(supervisor, known)
            return
        newest = supervisor.proposed or (supervisor.revision, _attachments(supervisor))
        supervisor.proposed = revision, candidate = next_revision(newest, event.payload)
        self._answers[update_id] = None
        self._context.aside(self._send(supervisor, Update(update_id, revision, candidate)))

    def answered(self, supervisor: RunSupervisor, answer: UpdateApplied | UpdateRejected) -> None:
        """The child has judged."""
        self._answers[answer.update_id] = answer
        if isinstance(answer, UpdateApplied):
            if answer.revision >= supervisor.revision:
                supervisor.revision = answer.revision
                supervisor.parameters = {**supervisor.parameters, supervisor.parameter: answer.attachments}
                self._context.aside(self._store(supervisor, answer.revision, supervisor.parameters))
        elif answer.update_id in self._kept:
            self._take_back(supervisor, answer)
        elif supervisor.proposed is not None and supervisor.proposed[0] == answer.revision:
            # The next changes are merged into what the task has, not into what it refused.
            supervisor.proposed = (answer.revision, _attachments(supervisor))
        self._emit(supervisor, answer)

    def _take_back(self, supervisor: RunSupervisor, refused: UpdateRejected) -> None:
        """Prefect keeps what the task refused: what it has is stored as one more revision."""
        if refused.update_id not in self._kept or refused.revision < supervisor.revision:
            return
        del self._kept[refused.update_id]
        supervisor.revision = refused.revision + 1
        if supervisor.proposed is None or supervisor.proposed[0] <= supervisor.revision:
            supervisor.proposed = (supervisor.revision, _attachments(supervisor))
        self._context.aside(self._store(supervisor, supervisor.revision, supervisor.parameters))

    async def _send(self, supervisor: RunSupervisor, update: Update) -> None:
        if not await supervisor.send(update):
            reason = "the task has ended"
            self.answered(supervisor, UpdateRejected(update.update_id, update.revision, reason))

    async def _store(self, supervisor: RunSupervisor, revision: int, parameters: dict[str, Any]) -> None:
        """One after the other, so that an older revision never overwrites a newer one."""
        async with self._storing:
            if revision == supervisor.revision:
                await self._context.api.patch(supervisor.run.id, {"parameters": parameters})
                await self._context.api.label(supervisor.run.id, {REVISION_LABEL: revision})

    def _emit(self, supervisor: RunSupervisor, answer: UpdateApplied | UpdateRejected) -> None:
        pool = related("work-pool", POOL_RESOURCE + self._pool_id)
        self._context.emitter.emit(
            Event(
                event=UPDATE_APPLIED if isinstance(answer, UpdateApplied) else UPDATE_REJECTED,
                resource=run_resource(supervisor.id),
                related=[pool, *tags_related(supervisor.run.tags)],
                payload=answer_payload(answer, self._context.name),
            )
        )


def answer_payload(answer: UpdateApplied | UpdateRejected, node: str) -> dict[str, Any]:
    payload: dict[str, Any] = {"update_id": answer.update_id, "revision": answer.revision, "node": node}
    if isinstance(answer, UpdateApplied):
        return {**payload, "attachments": answer.attachments}
    return {**payload, "reason": answer.reason}


def _attachments(supervisor: RunSupervisor) -> dict[str, Any]:
    found = supervisor.parameters.get(supervisor.parameter)
    return dict(found) if isinstance(found, dict) else {}
