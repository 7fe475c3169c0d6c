"""Small questions to a server over HTTP, by nothing that takes long to import."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_PROBE_SECONDS = 5.0
_ANSWER_SECONDS = 20.0


def get_json(url: str, env: Mapping[str, str]) -> tuple[bool, Any]:
    """Whether a server answered at all, and the JSON of a good answer. ``env`` holds credentials."""
    status, found = ask("GET", url, headers=credentials(env), seconds=_ANSWER_SECONDS)
    return status != 0, found


def credentials(env: Mapping[str, str]) -> dict[str, str]:
    """The header that Prefect's variables ask for."""
    if key := env.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := env.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def ask(
    method: str,
    url: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = _PROBE_SECONDS,
) -> tuple[int, Any]:
    """Status and JSON of a 2xx reply; status 0 when nothing answers."""
    try:
        target = urlsplit(url)
        kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        connection = kind(target.hostname or "", target.port, timeout=seconds)
    except ValueError:
        return 0, None
    path = f"{target.path}?{target.query}" if target.query else target.path
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if 200 <= reply.status < 300 else None
    except (OSError, http.client.HTTPException):
        return 0, None
    except ValueError:
        return 200, None
    finally:
        connection.close()
