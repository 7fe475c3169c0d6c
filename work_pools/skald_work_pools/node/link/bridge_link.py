"""One WebSocket to the bridge, opened again whenever it ends. The node goes on the same without it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from skald_work_pools.first_of import first_of
from skald_work_pools.link.frames import LARGEST, BadFrame, TooLarge, decode, encode
from skald_work_pools.link.messages import Alive, FromNode, Hello, Offer, Refused, Report, Taken, Welcome
from skald_work_pools.link.reports import difference
from skald_work_pools.retrying import Backoff

OPENING = 10.0
"""Seconds for the bridge to answer a handshake, and hello."""
TOGETHER = 0.02
"""Seconds for which changes are gathered before they are told."""
STALE = 2.0
"""Seconds after which the bridge has given an offer up."""
_SILENCE = 4
"""So many of the bridge's intervals without a word from it, and the link is opened anew."""
_QUEUED = 1000
_log = logging.getLogger("skald.node.link")


class BridgeLink:
    """``hello`` and ``report`` say how the node is; ``consider`` decides on an offer, one at a time, in order.

    ``told`` hears when the bridge has welcomed the node.
    """

    def __init__(
        self,
        url: str,
        key: str,
        hello: Callable[[], Hello],
        report: Callable[[], Report],
        consider: Callable[[Offer], Awaitable[Taken | Refused]],
        told: Callable[[], object],
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._hello, self._report = hello, report
        self._consider, self._on_told = consider, told
        self.connected = False
        """Whether the bridge has welcomed the node on a link that is open."""
        self._changed = asyncio.Event()
        self._last_problem = ""

    def changed(self) -> None:
        """Something of the report may be other than it was."""
        if self.connected:
            self._changed.set()

    async def run(self) -> None:
        """Until cancelled; ends at once for a node without a link."""
        if not self._url:
            return
        backoff = Backoff(first=0.2, most=5.0)
        while True:
            try:
                async with connect(
                    self._url,
                    additional_headers=self._headers,
                    open_timeout=OPENING,
                    close_timeout=1,
                    ping_interval=None,
                    compression=None,
                    max_size=LARGEST,
                ) as socket:
                    await self._talk(socket, backoff)
            except (OSError, WebSocketException, BadFrame, TooLarge) as error:
                self._tell(error)
            finally:
                self.connected = False
            await backoff.wait()

    async def _talk(self, socket: ClientConnection, backoff: Backoff) -> None:
        hello = self._hello()
        await _send(socket, hello)
        async with asyncio.timeout(OPENING):
            welcome = decode(await socket.recv())
        if not isinstance(welcome, Welcome):
            raise BadFrame("a bridge's first word is a welcome")
        self._changed.set()
        self.connected = True
        backoff.reset()
        self._last_problem = ""
        _log.info("linked to the bridge at %s", self._url)
        self._on_told()
        offers: asyncio.Queue[tuple[float, Offer]] = asyncio.Queue(_QUEUED)
        await first_of(
            self._listen(socket, offers, welcome.every),
            self._answer(socket, offers),
            self._speak(socket, hello.report, welcome.every),
        )

    async def _listen(
        self, socket: ClientConnection, offers: asyncio.Queue[tuple[float, Offer]], every: float
    ) -> None:
        while True:
            async with asyncio.timeout(_SILENCE * every):
                message = decode(await socket.recv())
            if isinstance(message, Offer) and not offers.full():
                offers.put_nowait((time.monotonic(), message))

    async def _answer(self, socket: ClientConnection, offers: asyncio.Queue[tuple[float, Offer]]) -> None:
        while True:
            came, offer = await offers.get()
            if time.monotonic() - came < STALE:
                await _send(socket, await self._consider(offer))

    async def _speak(self, socket: ClientConnection, said: Report, every: float) -> None:
        """Changes when there are some, and in each interval that the node is alive, which the bridge answers."""
        due = time.monotonic() + every
        while True:
            left = due - time.monotonic()
            if left <= 0:
                due = time.monotonic() + every
                await _send(socket, Alive())
                continue
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(TOGETHER)
            self._changed.clear()
            report = self._report()
            if (changes := difference(said, report)) is not None:
                await _send(socket, changes)
            said = report

    def _tell(self, error: Exception) -> None:
        """Each problem once, until the link is there."""
        problem = _problem(error)
        level = logging.DEBUG if problem == self._last_problem else logging.WARNING
        self._last_problem = problem
        _log.log(level, "no link to the bridge at %s (%s); the node goes on without", self._url, problem)


async def _send(socket: ClientConnection, message: FromNode) -> None:
    await socket.send(encode(message).decode())


def _problem(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status in (401, 403):
            return f"it answers {status}: set SKALD_API_KEY to the bridge's"
        return f"it answers {status}"
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return error.rcvd.reason or f"it closed the link, {error.rcvd.code}"
    if isinstance(error, TimeoutError):
        return "it says nothing"
    return str(error) or type(error).__name__
