"""The ``Engine`` port over Prefect's public API."""

from __future__ import annotations

from typing import Self

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_artifacts import ArtifactReader
from skald_bridge.adapters.prefect_choice import DeploymentChoice
from skald_bridge.adapters.prefect_commands import TaskCommands
from skald_bridge.adapters.prefect_connection import Connect
from skald_bridge.adapters.prefect_hints import HintStream
from skald_bridge.adapters.prefect_identity import KnownRuns, RunIds, Unreadable, unheard
from skald_bridge.adapters.prefect_log_pages import LogReader
from skald_bridge.adapters.prefect_pods import KubernetesRuns
from skald_bridge.adapters.prefect_queue import QueueReader
from skald_bridge.adapters.prefect_reading import TaskReader
from skald_bridge.adapters.prefect_types import TaskTypeReader
from skald_bridge.adapters.prefect_update import HotUpdates
from skald_bridge.adapters.prefect_waiting import WaitingReader


class PrefectEngine:
    """Prefect at ``PREFECT_API_URL`` through its own client: ``async with PrefectEngine() as engine``; or by any
    other connection."""

    def __init__(self, connect: Connect | None = None, *, unreadable: Unreadable = unheard) -> None:
        """``unreadable`` hears of runs that Prefect has and cannot show, or that cannot be understood."""
        known = KnownRuns(unreadable)
        self._api = PrefectApi(connect, known.left_out)
        runs = RunIds(self._api, known)
        reader = TaskReader(self._api, runs)
        choice = DeploymentChoice(self._api, reader)
        commands = TaskCommands(self._api, runs, reader, choice)
        self._updates = HotUpdates(self._api, runs, reader, commands)
        self.in_kubernetes = KubernetesRuns(self._api, reader, commands)
        """What looks after pods asks and tells."""
        artifacts = ArtifactReader(self._api, runs)
        logs = LogReader(self._api, runs)

        self.is_unreadable = known.is_unreadable
        self.task, self.read, self.tasks = reader.task, reader.read, reader.tasks
        self.live_tasks, self.changed_since = reader.live_tasks, reader.changed_since
        self.history, self.stored, self.subtasks = reader.history, reader.stored, reader.subtasks
        self.progress, self.nodes, self.node_log = reader.progress, reader.nodes, reader.node_log
        self.class_names, self.version = reader.class_names, reader.version
        self.artifacts, self.recordings = artifacts.artifacts, artifacts.recordings
        self.logs, self.last_logs = logs.logs, logs.last_logs
        self.task_types = TaskTypeReader(self._api).task_types
        self.waiting = WaitingReader(self._api).waiting
        queue = QueueReader(self._api, reader)
        self.queue, self.at_work = queue.queue, queue.at_work
        self.hints = HintStream(self._api, known, choice.forget).hints
        self.create, self.release, self.fail = commands.create, commands.release, commands.fail
        self.cancel, self.pause, self.resume = commands.cancel, commands.pause, commands.resume
        self.retry, self.queue_for = commands.retry, commands.queue_for
        self.restart, self.update = self._updates.restart, self._updates.update

    async def __aenter__(self) -> Self:
        await self._api.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._updates.close()
        await self._api.close()
