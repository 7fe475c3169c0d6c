"""The child's end of the socket pair to its node."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator

from skald_work_pools.messages import CHANNEL_FD_ENV, Message, Run, Update, decode, encode
from skald_work_pools.node.forked.update_inbox import UpdateInbox


class Channel:
    """Blocking JSON-lines connection; ``send`` may be called from any thread, reading from one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb")
        self._lock = threading.Lock()
        self._listening = False
        self._updates = UpdateInbox(self.send)
        self.run_id: str | None = None

    def send(self, message: Message) -> None:
        """Raises ``OSError`` when the node is gone."""
        with self._lock:
            self._sock.sendall(encode(message))

    def receive(self) -> Message | None:
        """The next message; ``None`` when the node is gone."""
        line = self._reader.readline()
        message = decode(line) if line else None
        if isinstance(message, Run):
            self.run_id = str(message.flow_run["id"])
        return message

    def __iter__(self) -> Iterator[Message]:
        while (message := self.receive()) is not None:
            yield message

    def listen(self, handle: Callable[[Message], None]) -> None:
        """Hand every further message to ``handle`` on a daemon thread; the first call wins."""
        with self._lock:
            if self._listening:
                return
            self._listening = True

        def loop() -> None:
            for message in self:
                handle(message)

        threading.Thread(target=loop, name="skald-channel", daemon=True).start()

    def take_updates(self, receiver: Callable[[Update], None] | None = None) -> None:
        """Listen, and hand updates to ``receiver``; while there is none, each is refused after a short wait.

        The child calls it with None before user code; ``live()`` names the receiver.
        """
        if receiver is not None:
            self._updates.hand_to(receiver)
        self.listen(self._dispatch)

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Update):
            self._updates.deliver(message)


_current: Channel | None = None


def current() -> Channel | None:
    """This process's channel; ``None`` outside a node's child (a stock worker, a test, a plain call)."""
    global _current
    if _current is None and (fd := os.environ.get(CHANNEL_FD_ENV)):
        _current = Channel(socket.socket(fileno=int(fd)))
    return _current


def adopt(channel: Channel | None) -> None:
    """Set this process's channel; the child's main does it once, before user code."""
    global _current
    _current = channel
