"""A connection on which small requests may take the short way."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.server import ServerState

from skald_bridge.api.connections import Connection, Door
from skald_bridge.api.quick import Quick

_HELD = 0.05
"""Seconds that the begin of a small request is held for its rest, which many clients send apart."""


class QuickConnection(Connection):
    """What comes between requests is shown to ``quick``; what that does not answer goes on to HTTP/1 in full."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door,
        quick: Quick,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, door=door)
        self._quick = quick
        self._answered_at = float("-inf")
        self._held = b""
        self._held_until: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._take_held()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_between_requests():
            data = self._take_held() + data
            if self._take_quickly(data):
                return
        super().data_received(data)

    def eof_received(self) -> None:
        self._let_go()
        super().eof_received()

    def _is_between_requests(self) -> bool:
        done = self.cycle is None or self.cycle.response_complete
        return done and self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _take_quickly(self, data: bytes) -> bool:
        """Whether it is answered, or held until its rest is there."""
        missing = self._quick.missing(data)
        if missing < 0 or self.flow.write_paused or self.transport.is_closing():
            return False
        if missing:
            self._held = data
            self._held_until = self.loop.call_later(_HELD, self._let_go)
            return True
        answer = self._quick.answer(data, self.server_state.default_headers)
        if answer is None:
            return False
        self._unset_keepalive_if_required()
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        self._door.hear(self, silent=True)
        self.transport.write(answer)
        if self.transport.get_write_buffer_size() and not self.flow.write_paused:
            self._await_reading()
        return True

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        if self._held_until is not None:
            self._held_until.cancel()
            self._held_until = None
        return held

    def _let_go(self) -> None:
        """Its rest does not come in time: HTTP/1 has limits for that."""
        if held := self._take_held():
            super().data_received(held)

    def _too_late(self) -> None:
        left = self._answered_at + self._door.limits.head - self.loop.time()
        if left > 0 and self.conn.their_state is h11.IDLE:
            self._late = self.loop.call_later(left, self._too_late)
        else:
            super()._too_late()
