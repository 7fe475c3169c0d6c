"""Requests of tests that ask many times a second: httpx alone makes a TLS context for each, 30 ms of a core."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

_CONTEXT = ssl.create_default_context()


def request(method: str, url: str, **more: Any) -> httpx.Response:
    """``httpx.request``; a connection of its own, so that a server may have been started again."""
    return httpx.request(method, url, verify=_CONTEXT, **more)
