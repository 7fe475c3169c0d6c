"""The ``Engine`` port over Prefect's public API."""

from __future__ import annotations

from skald_bridge.adapters.prefect_artifacts import Artifacts
from skald_bridge.adapters.prefect_hints import Hints
from skald_bridge.adapters.prefect_log_pages import Logs
from skald_bridge.adapters.prefect_pods import PodRuns
from skald_bridge.adapters.prefect_types import Types
from skald_bridge.adapters.prefect_update import Updates
from skald_bridge.adapters.prefect_waiting import Waits


class PrefectEngine(Updates, Artifacts, Hints, Logs, Types, Waits, PodRuns):
    """Prefect at ``PREFECT_API_URL`` through its own client: ``async with PrefectEngine() as engine``; or by any
    other connection.

    Layers: api, reading, choice, commands, update; beside them artifacts, hints, logs, task types, waiting and runs
    in pods.
    """
