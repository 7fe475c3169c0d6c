"""Which settings of Prefect's client plain HTTP can honour; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_OF_THE_CLIENT = ("PREFECT_API_", "PREFECT_CLIENT_", "PREFECT_CLOUD_")
_URL, _LOGIN, _CSRF = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"
_OFF = ("false", "0", "no", "off", "f", "n")


@dataclass(frozen=True)
class Login:
    """``auth_string`` is ``user:password``, ``None`` where the server wants none."""

    auth_string: str | None


def plain_login(settings: Mapping[str, str]) -> Login | None:
    """How plain HTTP logs in; ``None`` where these settings need Prefect's own client.

    ``settings``: what is set of Prefect's, by the names of its variables.
    """
    given = {name.upper(): value for name, value in settings.items() if value}
    asked = {name for name in given if name.startswith(_OF_THE_CLIENT)} - {_URL, _LOGIN}
    if given.get(_CSRF, "").lower() in _OFF:
        asked.discard(_CSRF)
    return None if asked else Login(given.get(_LOGIN))
