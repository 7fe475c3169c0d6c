"""The ``Engine`` port over Prefect's public client."""

from __future__ import annotations

from skald_bridge.adapters.prefect_artifacts import Artifacts
from skald_bridge.adapters.prefect_hints import Hints
from skald_bridge.adapters.prefect_log_pages import Logs
from skald_bridge.adapters.prefect_types import Types
from skald_bridge.adapters.prefect_update import Updates


class PrefectEngine(Updates, Artifacts, Hints, Logs, Types):
    """Prefect at ``PREFECT_API_URL``: ``async with PrefectEngine() as engine``.

    Layers: api, reading, choice, commands, update; beside them artifacts, hints, logs and task types.
    """
