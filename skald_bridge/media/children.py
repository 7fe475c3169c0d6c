"""Child tasks: parts of a job that run wherever a node is free."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from skald_bridge.domain.errors import SkaldError
from skald_work_pools.messages import NODE_LABEL, WORKER_LABEL, claimant
from skald_work_pools.pages import batches, with_ids
from skald_work_pools.retrying import pauses, unanswered

POLL_SECONDS = 0.25
_log = logging.getLogger("skald_bridge.media")


class ChildFailed(SkaldError):
    """A child task ended in another state than Completed."""


class Children:
    """Starts deployments as child runs of the current one and waits for them, with one request for all.

    Any thread may call ``run``.
    """

    def __init__(self, poll_seconds: float = POLL_SECONDS) -> None:
        self._poll_seconds = poll_seconds
        self._open: set[UUID] = set()
        self._ended: dict[UUID, FlowRun | Exception] = {}
        self._changed = threading.Condition()
        self._watching = False
        self._closed = False
        self._cancelling = False

    def run(self, deployment: str, parameters: Mapping[str, Any], *, name: str, key: str) -> FlowRun:
        """The completed run of ``deployment`` ("flow/deployment").

        ``key`` names this piece of work for good: a parent that starts again finds the child it had, unless
        that one failed.

        Raises:
            ChildFailed: it ended otherwise, was deleted or could not be watched, or this object was closed
                meanwhile.
        """
        attempt = 0
        while True:
            started = run_deployment(
                deployment,
                parameters=dict(parameters),
                flow_run_name=name,
                timeout=0,
                idempotency_key=f"{key}:{attempt}",
            )
            assert isinstance(started, FlowRun)
            if started.state is None or not started.state.is_final() or started.state.is_completed():
                break
            attempt += 1
        ended = self._wait(started)
        if ended.state is None or not ended.state.is_completed():
            state = ended.state
            raise ChildFailed(
                f"child task {name} ended {state.name if state else 'without a state'}"
                + (f": {state.message}" if state and state.message else "")
            )
        return ended

    def close(self, *, cancel: bool) -> None:
        """Stop waiting; with ``cancel``, cancel the children that have not ended."""
        with self._changed:
            self._closed = True
            self._cancelling = cancel
            waiting = list(self._open)
            self._changed.notify_all()
        if cancel:
            _cancel(waiting)

    def _wait(self, run: FlowRun) -> FlowRun:
        if run.state is not None and run.state.is_final():
            return run
        with self._changed:
            late = self._closed
            self._open.add(run.id)
            if not late and not self._watching:
                self._watching = True
                inherited = contextvars.copy_context()
                threading.Thread(target=inherited.run, args=(self._watch,), daemon=True).start()
            self._changed.wait_for(lambda: run.id in self._ended or self._closed)
            ended = self._ended.pop(run.id, None)
        if late and self._cancelling:
            _cancel([run.id])
        if ended is None:
            raise ChildFailed(f"child task {run.name} was given up, as its parent ended")
        if isinstance(ended, Exception):
            raise ChildFailed(f"child task {run.name} is waited for no longer: {ended!r}") from ended
        return ended

    def _watch(self) -> None:
        """Until nobody waits. Whatever ends it earlier ends every wait, with its cause."""
        try:
            with get_client(sync_client=True) as client:
                again = pauses()
                while asked := self._asked():
                    pause = self._poll_seconds
                    try:
                        self._take(_read(client, asked), asked)
                        again = pauses()
                    except httpx.HTTPError as error:
                        if not unanswered(error):
                            raise
                        pause = max(pause, next(again))
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed, pause)
        except Exception as error:
            _log.exception("the child tasks of this run can't be watched")
            with self._changed:
                self._watching = False
                self._ended |= dict.fromkeys(self._open, error)
                self._open.clear()
                self._changed.notify_all()

    def _take(self, found: Iterable[FlowRun], asked: Iterable[UUID]) -> None:
        """``found``: what the server has of the runs that were ``asked`` for."""
        there = {run.id: run for run in found}
        with self._changed:
            for run_id in asked:
                run = there.get(run_id)
                if run is None:
                    self._ended[run_id] = LookupError("it was deleted")
                elif run.state is not None and run.state.is_final():
                    self._ended[run_id] = run
            self._open -= self._ended.keys()
            self._changed.notify_all()

    def _asked(self) -> list[UUID]:
        with self._changed:
            if self._closed or not self._open:
                self._watching = False
                return []
            return list(self._open)


def _read(client: SyncPrefectClient, run_ids: Iterable[UUID]) -> list[FlowRun]:
    """Those that exist."""
    found: list[FlowRun] = []
    for some in batches(run_ids):
        found += client.read_flow_runs(flow_run_filter=FlowRunFilter(id=with_ids(some)), limit=len(some))
    return found


def _cancel(run_ids: Iterable[UUID]) -> None:
    with get_client(sync_client=True) as client:
        for run_id in run_ids:
            try:
                client.set_flow_run_state(run_id, Cancelling())
            except (httpx.HTTPError, ObjectNotFound) as error:
                _log.warning("child run %s is not cancelled: %s", run_id, error or type(error).__name__)


def node_of(run: FlowRun) -> str:
    """The node that ran ``run``; a run's labels say so a moment after its states do."""
    if label := run.labels.get(NODE_LABEL) or run.labels.get(WORKER_LABEL):
        return str(label)
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(run.id)
    claims = [node for state in states if (node := claimant(state.message))]
    return claims[-1] if claims else "a worker"


def being_cancelled(run_id: str) -> bool:
    """Whether somebody asked for the end of the run; ``False`` where a node merely gives it back."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(run_id)).state
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)
