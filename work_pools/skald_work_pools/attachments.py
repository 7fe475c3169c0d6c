"""Requests to change attachments, and what becomes of them; pure."""

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


def update_id_of(payload: Mapping[str, Any]) -> str | None:
    """The id of a request that is complete; ``None`` for another."""
    update_id = payload.get("update_id")
    asks = any(isinstance(payload.get(key), dict) for key in ("changes", "attachments"))
    return update_id if isinstance(update_id, str) and asks else None


def next_revision(
    newest: tuple[int, dict[str, Any]], payload: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    """The candidate that follows the newest revision and its attachments: replaced, or changed in places."""
    revision, attachments = newest
    whole = payload.get("attachments")
    if isinstance(whole, dict):
        return revision + 1, dict(whole)
    return revision + 1, merge(attachments, payload.get("changes") or {})


def _plain(key: str) -> str:
    return key.replace("_", "").lower()
