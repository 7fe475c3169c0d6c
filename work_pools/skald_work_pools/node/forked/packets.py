"""JSON objects as packets over a sequenced-packet socket, with descriptors; large ones travel in a memory file."""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

LARGEST = 1 << 16
"""Bytes of a packet; a longer text is put into a memory file, whose descriptor is sent in its place."""
DESCRIPTORS = 8
_ATTACHED = b"attached"


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends block; whatever default timeout user code has set for the sockets of its process."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in pair:
        end.settimeout(None)
    return pair


def send(sock: socket.socket, content: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send copies of ``descriptors`` along.

    Raises:
        OSError: the other end is gone, or (``BlockingIOError``) has no room now.
    """
    text = json.dumps(content).encode()
    if len(text) <= LARGEST:
        socket.send_fds(sock, [text], list(descriptors))
        return
    file = os.memfd_create("skald-packet", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as writer:
            writer.write(text)
        socket.send_fds(sock, [_ATTACHED], [*descriptors, file])
    finally:
        os.close(file)


def receive(sock: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next object, ``None`` at the end, and its descriptors, which are the caller's to close.

    Raises:
        OSError: as of ``recvmsg``; ``BlockingIOError`` when there is nothing yet.
    """
    found = array.array("i")
    text, ancillary, _, _ = sock.recvmsg(
        LARGEST, socket.CMSG_LEN(DESCRIPTORS * found.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    descriptors = list(found)
    if text == _ATTACHED:
        file = descriptors.pop()
        os.lseek(file, 0, os.SEEK_SET)
        with open(file, "rb") as reader:
            text = reader.read()
    return (json.loads(text) if text else None), descriptors
