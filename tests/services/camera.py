"""A scripted RTSP camera on loopback: H.264 over TCP or UDP, and whatever goes wrong with cameras."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FRAME = 0.04
_CLOCK = 90_000
_SOUND_BYTES = 160  # 20 ms of G.711
_PAYLOAD = 1300
_TRANSPORT_REFUSED = "461 Unsupported Transport"


@dataclass
class Script:
    """What the camera does. All times in seconds of the connection, or of all of them with ``stays``.

    ``stall_after``: pictures stop and sound goes on; ``jump_after``, ``jump``: its clock is set by ``jump``
    seconds at a key frame; ``change_after``: it sends ``files[1]`` from then on; ``hang_up_after``: it closes.
    ``key_frames``: ``False`` leaves them out; ``garbage``: every picture is noise.
    ``user``, ``password``: digest authentication; ``redirect``: where DESCRIBE is sent on to.
    """

    sound: bool = False
    stall_after: float | None = None
    stays: bool = False
    jump_after: float | None = None
    jump: float = 0.0
    change_after: float | None = None
    hang_up_after: float | None = None
    key_frames: bool = True
    garbage: bool = False
    tcp: bool = True
    user: str = ""
    password: str = ""
    redirect: str = ""


def units(path: Path) -> list[list[bytes]]:
    """A raw H.264 file as access units of NAL units."""
    data = path.read_bytes()
    starts = [match.end() for match in re.finditer(rb"\x00\x00\x01", data)]
    found, current = [], []
    for start, end in zip(starts, [*(each - 3 for each in starts[1:]), len(data)], strict=True):
        unit = data[start:end].rstrip(b"\x00")
        if unit[0] & 31 == 9:
            continue
        current.append(unit)
        if unit[0] & 31 in (1, 5):
            found.append(current)
            current = []
    return found


@dataclass
class Camera:
    """A camera at ``url``; ``asked``: the requests it got, ``connections`` how often it was connected to."""

    files: tuple[Path, ...]
    script: Script = field(default_factory=Script)
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._streams = [units(path) for path in self.files]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.first_picture: float | None = None
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, credentials: str = "", path: str = "cam") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=_Session(self, connection).run, daemon=True).start()

    def sdp(self) -> str:
        first = self._streams[0][0]
        sets = [next(unit for unit in first if unit[0] & 31 == kind) for kind in (7, 8)]
        sprop = ",".join(base64.b64encode(unit).decode() for unit in sets)
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=cam", "c=IN IP4 127.0.0.1", "t=0 0", "a=control:*"]
        lines += ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"]
        lines += [f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}", "a=control:track0"]
        if self.script.sound:
            lines += ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=control:track1"]
        return "\r\n".join([*lines, ""])

    def stream(self, elapsed: float) -> list[list[bytes]]:
        change = self.script.change_after
        return self._streams[1 if change is not None and elapsed > change else 0]


class _Session:
    """One connection: its requests on this thread, its packets on another."""

    def __init__(self, camera: Camera, connection: socket.socket) -> None:
        self._camera = camera
        self._script = camera.script
        self._connection = connection
        self._lock = threading.Lock()
        self._sequence = [0, 0]
        self._datagrams: dict[int, tuple[socket.socket, int]] = {}
        self._playing = False

    def run(self) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := self._connection.recv(4096):
                buffer += data
                while True:
                    if buffer[:1] == b"$":
                        length = 4 + int.from_bytes(buffer[2:4], "big")
                        if len(buffer) < max(4, length):
                            break
                        buffer = buffer[length:]
                    elif b"\r\n\r\n" in buffer:
                        head, buffer = buffer.split(b"\r\n\r\n", 1)
                        self._request(head.decode())
                    else:
                        break
        self._playing = False
        self._connection.close()

    def _request(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, url, _ = first.split(" ", 2)
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._camera.asked.append(method)
        script = self._script

        def answer(status: str = "200 OK", extra: str = "", body: str = "") -> None:
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            text = f"RTSP/1.0 {status}\r\nCSeq: {fields.get('cseq', '0')}\r\n{extra}{length}\r\n{body}"
            with self._lock:
                self._connection.sendall(text.encode())

        if script.redirect and method == "DESCRIBE":
            return answer("302 Moved", f"Location: {script.redirect}\r\n")
        if script.user and method in ("DESCRIBE", "SETUP", "PLAY") and not self._let_in(method, fields):
            return answer("401 Unauthorized", 'WWW-Authenticate: Digest realm="cam", nonce="n0"\r\n')
        match method:
            case "OPTIONS":
                return answer(extra="Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n")
            case "DESCRIBE":
                base_url = f"Content-Base: {url.rstrip('/')}/\r\n"
                return answer(extra=f"Content-Type: application/sdp\r\n{base_url}", body=self._camera.sdp())
            case "SETUP":
                return self._setup(int(url.rstrip("/")[-1]), fields["transport"], answer)
            case "PLAY":
                answer(extra="Session: 1\r\nRange: npt=0-\r\n")
                if not self._playing:
                    self._playing = True
                    threading.Thread(target=self._play, daemon=True).start()
                return None
        return answer(extra="Session: 1\r\n")

    def _setup(self, track: int, transport: str, answer) -> None:
        kind = "RTP/AVP/TCP" if "TCP" in transport else "RTP/AVP"
        if kind.endswith("TCP"):
            if not self._script.tcp:
                return answer(_TRANSPORT_REFUSED)
            ports = f"interleaved={track * 2}-{track * 2 + 1}"
        else:
            theirs = int(re.search(r"client_port=(\d+)", transport)[1])
            ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ours.bind(("127.0.0.1", 0))
            self._datagrams[track] = (ours, theirs)
            port = ours.getsockname()[1]
            ports = f"client_port={theirs}-{theirs + 1};server_port={port}-{port + 1}"
        return answer(extra=f"Session: 1\r\nTransport: {kind};unicast;{ports}\r\n")

    def _let_in(self, method: str, fields: dict[str, str]) -> bool:
        given = dict(re.findall(r'(\w+)="([^"]*)"', fields.get("authorization", "")))

        def digest(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        who = digest(f"{self._script.user}:cam:{self._script.password}")
        return given.get("response") == digest(f"{who}:n0:{digest(f'{method}:' + given.get('uri', ''))}")

    def _play(self) -> None:
        script, began = self._script, time.monotonic()
        origin = self._camera.first_picture = self._camera.first_picture or began
        number = sounds = shift = 0
        newest: list[list[bytes]] | None = None
        at = 0
        with contextlib.suppress(OSError):
            while self._playing:
                now = time.monotonic()
                elapsed = now - (origin if script.stays else began)
                if script.hang_up_after is not None and elapsed > script.hang_up_after:
                    self._connection.shutdown(socket.SHUT_RDWR)
                    return
                while script.sound and sounds * 0.02 <= now - began:
                    self._rtp(1, 8, 80_000 + sounds * _SOUND_BYTES, b"\xd5" * _SOUND_BYTES, last=False)
                    sounds += 1
                if number * _FRAME <= now - began:
                    stream = self._camera.stream(elapsed)
                    if stream is not newest:
                        newest, at = stream, 0
                    unit = stream[at % len(stream)]
                    key = unit[-1][0] & 31 == 5
                    if key and script.jump_after is not None and elapsed > script.jump_after and not shift:
                        shift = round(script.jump * _CLOCK)
                    stalled = script.stall_after is not None and elapsed > script.stall_after
                    if not stalled and (script.key_frames or not key):
                        self._picture(unit, 900_000 + round(number * _FRAME * _CLOCK) + shift)
                    number, at = number + 1, at + 1
                time.sleep(0.004)

    def _picture(self, unit: list[bytes], timestamp: int) -> None:
        for index, nal in enumerate(unit):
            if self._script.garbage and nal[0] & 31 in (1, 5):
                nal = nal[:1] + b"\xff" * (len(nal) - 1)
            self._nal(nal, timestamp, last=index == len(unit) - 1)

    def _nal(self, nal: bytes, timestamp: int, *, last: bool) -> None:
        if len(nal) <= _PAYLOAD:
            self._rtp(0, 96, timestamp, nal, last=last)
            return
        head, rest = nal[0], nal[1:]
        pieces = [rest[index : index + _PAYLOAD] for index in range(0, len(rest), _PAYLOAD)]
        for index, piece in enumerate(pieces):
            end = index == len(pieces) - 1
            marks = (0x80 if not index else 0) | (0x40 if end else 0) | (head & 31)
            self._rtp(0, 96, timestamp, bytes([(head & 0x60) | 28, marks]) + piece, last=last and end)

    def _rtp(self, track: int, kind: int, timestamp: int, data: bytes, *, last: bool) -> None:
        marker = 0x80 if last else 0
        head = struct.pack(
            ">BBHII",
            0x80,
            marker | kind,
            self._sequence[track] & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            0x1234 + track,
        )
        self._sequence[track] += 1
        packet = head + data
        if track in self._datagrams:
            ours, theirs = self._datagrams[track]
            ours.sendto(packet, ("127.0.0.1", theirs))
            return
        with self._lock:
            self._connection.sendall(b"$" + struct.pack(">BH", track * 2, len(packet)) + packet)


@contextlib.contextmanager
def camera(*files: Path, **script) -> Iterator[Camera]:
    """A camera that sends ``files[0]`` over and over; ``script``: fields of ``Script``."""
    made = Camera(files, Script(**script))
    try:
        yield made
    finally:
        made.close()
