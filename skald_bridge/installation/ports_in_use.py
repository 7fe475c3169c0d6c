"""Whether a TCP port can be listened on, and whether a service listens somewhere."""

from __future__ import annotations

import errno
import socket

from skald_bridge.domain.errors import InvalidInput, Unavailable


def check_free(host: str, port: int, *, what: str, remedy: str) -> None:
    """Raises ``Unavailable`` when another program listens there, ``InvalidInput`` where we may not listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Unavailable(
                    f"Port {port}, wanted for {what}, is already taken.", remedy=remedy
                ) from error
            raise InvalidInput(
                f"Port {port}, wanted for {what}, cannot be used: {error.strerror}.", remedy=remedy
            ) from error


def listens(host: str, port: int, seconds: float = 2.0) -> bool:
    """Whether a TCP connection is accepted within ``seconds``."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False
