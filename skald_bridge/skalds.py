"""Skalds' own entry points: a Skalds user changes the import and nothing else.

from skald_bridge.skalds import Skalds, SkaldConfig

app = Skalds(SkaldConfig(skald_mode="edge", yaml_file="all_workers.yml"))
app.register_task_worker(MyWorker)
app.run()
"""

from __future__ import annotations

import logging
from typing import Any, TypedDict, Unpack

from skald_bridge import logs
from skald_bridge.authoring.skalds import (
    BaseTaskWorker,
    release_handler,
    run_after_handler,
    run_before_handler,
    run_main_handler,
    update_event_handler,
)
from skald_bridge.domain.errors import SkaldError
from skald_bridge.modes import Options, options, run
from skald_bridge.modes.loading import ScriptReady, registering
from skald_bridge.settings import Settings
from skald_bridge.settings.file import load

__all__ = [
    "BaseTaskWorker",
    "Skald",
    "SkaldConfig",
    "Skalds",
    "release_handler",
    "run_after_handler",
    "run_before_handler",
    "run_main_handler",
    "update_event_handler",
]
_log = logging.getLogger("skald.modes")


class SkaldOptions(TypedDict, total=False):
    """Skalds' configuration arguments; what is not given comes from the environment or the defaults."""

    skald_id: str | None
    skald_env: str | None
    skald_mode: str | None
    log_level: str | None
    log_path: str | None
    log_retention: str | None
    log_rotation_mb: str | float | None
    log_split_with_worker_id: bool | None
    redis_host: str | None
    redis_port: int | None
    redis_password: str | None
    redis_sync_period: float | None
    redis_key_ttl: int | None
    kafka_host: str | None
    kafka_port: int | None
    kafka_username: str | None
    kafka_password: str | None
    kafka_topic_partitions: int | None
    kafka_replication_factor: int | None
    mongo_host: str | None
    db_name: str | None
    task_worker_retry: int | None
    yaml_file: str | None


class SkaldConfig:
    """Skalds' configuration. ``settings`` are all of this product's; each is an attribute here too.

    Raises:
        InvalidInput: an argument, or a variable of the environment, is unknown or wrong; it is named.
    """

    def __init__(self, **given: Unpack[SkaldOptions]) -> None:
        self.settings: Settings = load(flags=dict(given), flags_origin="from SkaldConfig")

    def __getattr__(self, name: str) -> Any:
        if name == "settings":
            raise AttributeError(name)
        return getattr(self.settings, name)

    def dict(self) -> dict[str, Any]:
        """Skalds' arguments and their values; passwords are masked."""
        return {name: getattr(self.settings, name) for name in SkaldOptions.__annotations__}


class Skalds:
    """A node, an edge or a single process, as its configuration says."""

    def __init__(self, config: SkaldConfig | None = None) -> None:
        self.config = config or SkaldConfig()
        self._registered: list[Any] = []

    def register_task_worker(self, worker: Any) -> Skalds:
        """Make a worker class, or a task type, known by its name; returns this object.

        Raises:
            InvalidInput: it is neither.
        """
        self._registered.append(worker)
        if (gathered := registering()) is not None:
            gathered.append(worker)
        return self

    def run(self) -> None:
        """Run until done or told to stop. Ends the process with the mode's exit code unless that is 0."""
        if registering() is not None:
            raise ScriptReady
        settings = self.config.settings
        logs.configure(
            level=settings.log_level,
            folder=settings.log_path,
            rotation=logs.Rotation(settings.log_rotation_mb, settings.log_retention),
            worker_id=settings.skald_id if settings.log_split_with_worker_id else None,
            json_lines=settings.log_format == "json",
        )
        try:
            code = run(self._options(settings))
        except SkaldError as error:
            _log.error("%s", error)
            code = error.exit_code
        if code:
            raise SystemExit(code)

    def _options(self, settings: Settings) -> Options:
        made = options(settings)
        for worker in self._registered:
            made.catalog.register(worker)
        return made


Skald = Skalds
