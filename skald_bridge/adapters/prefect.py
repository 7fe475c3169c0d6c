"""The ``Engine`` port over Prefect's public API."""

from __future__ import annotations

from skald_bridge.adapters.prefect_artifacts import Artifacts
from skald_bridge.adapters.prefect_hints import Hints
from skald_bridge.adapters.prefect_update import Updates
from skald_bridge.adapters.prefect_waiting import Waits


class PrefectEngine(Updates, Artifacts, Hints, Waits):
    """Prefect at ``PREFECT_API_URL`` through its own client: ``async with PrefectEngine() as engine``; or by any
    other connection.

    Layers: api, reading, commands, update; beside them artifacts, hints and waiting.
    """
