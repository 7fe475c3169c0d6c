"""Where the API may listen, and what it wants of those who ask; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from skald_bridge.domain.errors import InvalidInput


@dataclass(frozen=True)
class Access:
    """``key`` is wanted of everybody; without one only this machine's own names are answered to."""

    host: str
    key: SecretStr | None = None
    origins: Sequence[str] = ()


def check_access(access: Access) -> None:
    """Raises ``InvalidInput`` when others could reach us without a key."""
    if access.key is None and not is_loopback(access.host):
        raise InvalidInput(
            f"SYSTEM_CONTROLLER_HOST is {access.host}, which others can reach, and SKALD_API_KEY is not set.",
            remedy="Set SKALD_API_KEY to a long random text, or listen on 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
