"""What each event of the pool means to the node."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from prefect.events import Event

from skald_work_pools.messages import (
    DEPLOYMENT_CREATED,
    DEPLOYMENT_RESOURCE,
    DEPLOYMENT_UPDATED,
    RUN_RESOURCE,
    STATE_NAME,
    STATE_TYPE,
    UPDATE_REQUESTED,
)
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.reconcile.attachment_updates import AttachmentUpdates
from skald_work_pools.node.reconcile.state_reconciler import StateReconciler
from skald_work_pools.node.reconcile.stuck_cancellations import StuckCancellations
from skald_work_pools.node.runs.deployments import Deployments

_log = logging.getLogger("skald.node.events")


class EventRouter:
    """``wake`` looks for work; ``preload`` loads the pool's flows; ``has`` says whether a run is here already."""

    def __init__(
        self,
        context: NodeContext,
        deployments: Deployments,
        overseer: StateReconciler,
        orphans: StuckCancellations,
        revisions: AttachmentUpdates,
        *,
        wake: Callable[[], None],
        preload: Callable[[], Coroutine[Any, Any, None]],
        has: Callable[[str], bool],
    ) -> None:
        self._context = context
        self._deployments = deployments
        self._overseer = overseer
        self._orphans = orphans
        self._revisions = revisions
        self._wake = wake
        self._preload = preload
        self._has = has

    def connected(self) -> None:
        """There was a gap: what happened in it is asked for."""
        self._deployments.forget()
        self._wake()
        self._context.aside(self._overseer.sweep())

    def hear(self, event: Event) -> None:
        _log.debug("event %s %s", event.event, event.resource.id)
        if event.event == UPDATE_REQUESTED:
            self._revisions.hear(event)
        elif event.event.startswith(RUN_RESOURCE):
            self._hear_run(event, event.resource.get(STATE_TYPE))
        elif event.event.startswith(DEPLOYMENT_RESOURCE):
            self._deployments.forget()
            if event.event in (DEPLOYMENT_CREATED, DEPLOYMENT_UPDATED):
                self._context.aside(self._preload())
        else:
            self._wake()

    def _hear_run(self, event: Event, state_type: str | None) -> None:
        if state_type == "SCHEDULED":
            # A run that was offered before its event is here; whenever it ends, the node looks again.
            offered = event.resource.get(STATE_NAME) == "Scheduled"
            if not (offered and self._has(event.resource.id.removeprefix(RUN_RESOURCE))):
                self._wake()
        elif not self._overseer.hear(event) and state_type == "CANCELLING":
            self._context.aside(self._orphans.look(event.resource.id.removeprefix(RUN_RESOURCE)))
