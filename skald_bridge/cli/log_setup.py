"""Logs of the commands that keep running, by the settings."""

from __future__ import annotations

from skald_bridge.logs import Rotation, configure
from skald_bridge.settings import LogFormat, Settings


def rotation(settings: Settings) -> Rotation:
    return Rotation(settings.log_rotation_mb, settings.log_retention)


def start_logging(settings: Settings, worker_id: str) -> None:
    """To stderr, and to LOG_PATH; one file per worker with LOG_SPLIT_WITH_WORKER_ID."""
    configure(
        level=settings.log_level,
        folder=settings.log_path,
        rotation=rotation(settings),
        worker_id=worker_id if settings.log_split_with_worker_id else None,
        json_lines=settings.log_format is LogFormat.JSON,
    )
