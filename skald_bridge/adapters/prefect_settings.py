"""Which settings of Prefect's client plain HTTP can honour; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_OF_THE_CLIENT = ("PREFECT_API_", "PREFECT_CLIENT_", "PREFECT_CLOUD_")
_URL, _LOGIN, _CSRF = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_HERE = ("127.0.0.1", "localhost", "::1")
_OFF = ("false", "0", "no", "off", "f", "n")


@dataclass(frozen=True)
class Login:
    """``auth_string`` is ``user:password``, ``None`` where the server wants none."""

    auth_string: str | None


def plain_login(url: str, settings: Mapping[str, str]) -> Login | None:
    """How plain HTTP logs in at ``url``; ``None`` where these settings need Prefect's own client.

    ``settings``: the environment, and what else is set of Prefect's by the names of its variables.
    """
    given = {name.upper(): value for name, value in settings.items() if value}
    asked = {name for name in given if name.startswith(_OF_THE_CLIENT)} - {_URL, _LOGIN}
    if given.get(_CSRF, "").lower() in _OFF:
        asked.discard(_CSRF)
    by_proxy = any(name in given for name in _PROXIES) and urlsplit(url).hostname not in _HERE
    return None if asked or by_proxy else Login(given.get(_LOGIN))
