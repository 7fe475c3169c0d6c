"""A real RTSP server, and a camera that publishes footage at its own speed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av

from skald_bridge.media.ffmpeg import executable
from tests.conftest import required
from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import CACHE, free_port

GORTSPLIB = "v4.12.3"
SOURCE = Path(__file__).with_name("rtspd.go")


def program() -> Path:
    """The server's executable, built once."""
    folder = CACHE / f"rtspd-{GORTSPLIB}"
    built = folder / "rtspd"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if built.exists() and built.stat().st_mtime >= SOURCE.stat().st_mtime:
            return built
        go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
        if go is None:
            required("Go, to build the RTSP server")
        shutil.copy(SOURCE, folder / "main.go")
        module = f"module rtspd\n\ngo 1.22\n\nrequire github.com/bluenviron/gortsplib/v4 {GORTSPLIB}\n"
        (folder / "go.mod").write_text(module)
        env = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "GOTOOLCHAIN": "local"}
        done = subprocess.run(
            [go, "build", "-o", "rtspd", "."], cwd=folder, env=env, capture_output=True, text=True
        )
        if done.returncode:
            required(f"gortsplib from the Go module proxy: {done.stderr[-500:]}")
    return built


class RtspServer:
    """One server on its own loopback port; ``kill`` is SIGKILL, ``start`` again takes the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.cameras: list[subprocess.Popen[bytes]] = []

    def url(self, path: str, credentials: str = "") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        command = leashed([str(program()), f"127.0.0.1:{self.port}"])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def publish(self, footage: Path, path: str) -> subprocess.Popen[bytes]:
        """A camera that sends ``footage`` over and over, with a key frame each half second."""
        command = [executable(), "-nostdin", "-loglevel", "error", "-re", "-stream_loop", "-1"]
        command += ["-i", str(footage), "-an", "-vf", "scale=320:-2"]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "12"]
        command += ["-f", "rtsp", "-rtsp_transport", "tcp", self.url(path)]
        camera = subprocess.Popen(leashed(command), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.cameras.append(camera)
        until(lambda: self._visible(path), 20, f"{path} published on {self.url(path)}")
        return camera

    def _visible(self, path: str) -> bool:
        with contextlib.suppress(av.error.FFmpegError):
            av.open(self.url(path), options={"rtsp_transport": "tcp"}, timeout=(2, 2)).close()
            return True
        return False

    def kill(self) -> None:
        """The server and its cameras are gone at once."""
        for process in (self.process, *self.cameras):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                process.wait(10)
                if process.stdout is not None:
                    process.stdout.close()
        self.process, self.cameras = None, []


@contextlib.contextmanager
def rtsp_server() -> Iterator[RtspServer]:
    server = RtspServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()
