"""What this process logs for Prefect's API goes to its node."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler, set_api_log_sink


def forward_logs(sink: Callable[[dict[str, Any]], None]) -> None:
    """Hand every record for Prefect's API to ``sink``, as ``LogCreate`` in JSON; keep it off the console."""

    def take(log: dict[str, Any]) -> None:
        log.pop("__payload_size__", None)
        sink(log)

    set_api_log_sink(take)
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.addFilter(_not_for_the_api)


def _not_for_the_api(record: logging.LogRecord) -> bool:
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if any(isinstance(handler, APILogHandler) for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True
