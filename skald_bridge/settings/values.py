"""Forms in which people write values: lists with commas, spans of days, level names."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)?", re.IGNORECASE)
_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")


def names(value: Any) -> Any:
    """``"a, b"`` as two names."""
    if isinstance(value, str):
        return tuple(part for item in value.split(",") if (part := item.strip()))
    return value


def paths(value: Any) -> Any:
    """``"/a:/b"`` as two paths."""
    return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value


def days(value: Any) -> Any:
    """Days from a number or from text such as ``3 days``, ``12 hours`` or ``1 week``."""
    if not isinstance(value, str):
        return value
    match = _SPAN.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is no span of time; write days, or such as 12 hours, 3 days, 1 week")
    return float(match[1]) * _UNITS[(match[2] or "d")[0].lower()]


def level_name(value: Any) -> Any:
    """A level's name in capitals; Python's WARN is WARNING."""
    if not isinstance(value, str):
        raise ValueError(f"write one of {', '.join(_LEVELS)}")
    name = {"WARN": "WARNING"}.get(value.strip().upper(), value.strip().upper())
    if name not in _LEVELS:
        raise ValueError(f"{value!r} is no log level; write one of {', '.join(_LEVELS)}")
    return name


Names = Annotated[tuple[str, ...], BeforeValidator(names)]
Paths = Annotated[tuple[str, ...], BeforeValidator(paths)]
Days = Annotated[float, BeforeValidator(days), Field(gt=0)]
DaysKept = Annotated[float, BeforeValidator(days), Field(ge=0, le=36500)]
"""0 is for ever."""
