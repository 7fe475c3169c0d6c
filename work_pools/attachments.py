"""Changes of attachments, merged; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(newest: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``newest`` with ``changes`` in it, field by field.

    ``fix_frame`` and ``fixFrame`` are one field: the change replaces it under whichever name it was stored,
    so that no field is ever given twice.
    """
    stored = {_plain(key): key for key in newest}
    merged = dict(newest)
    for key, value in changes.items():
        merged[key if key in newest else stored.get(_plain(key), key)] = value
    return merged


def _plain(key: str) -> str:
    return key.replace("_", "").lower()
