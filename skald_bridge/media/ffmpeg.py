"""Running ffmpeg: arguments from ffmpeg-python, real progress, and no ffmpeg that outlives its task."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import IO, Any

import ffmpeg
import imageio_ffmpeg

from skald_bridge.domain.errors import Unavailable
from skald_bridge.media.errors import FfmpegEnded, FfmpegFailed, disk_full
from skald_bridge.media.inputs import Source
from skald_bridge.media.redact import redact

STALL_SECONDS = 60
STOP_SECONDS = 5.0
_TAIL = 30
_PR_SET_PDEATHSIG = 1
_ENDED = 255
_SAID_WHEN_ENDED = ("received signal", "Immediate exit requested")
_libc = ctypes.CDLL(None, use_errno=True)
_running: set[subprocess.Popen[bytes]] = set()


@cache
def executable() -> str:
    """ffmpeg from PATH, else the one in the wheel imageio-ffmpeg.

    Raises:
        Unavailable: neither is there.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise Unavailable(
            "ffmpeg is not installed", remedy="Install ffmpeg, or: pip install imageio-ffmpeg"
        ) from error


@cache
def encoders() -> frozenset[str]:
    """Names of the encoders this ffmpeg was built with."""
    listed = subprocess.run(
        [executable(), "-hide_banner", "-encoders"], capture_output=True, text=True, check=True, timeout=30
    )
    lines = (line.split() for line in listed.stdout.splitlines())
    return frozenset(words[1] for words in lines if len(words) > 1 and len(words[0]) == 6)


@cache
def filters() -> frozenset[str]:
    """Names of the filters this ffmpeg was built with."""
    listed = subprocess.run(
        [executable(), "-hide_banner", "-filters"], capture_output=True, text=True, check=True, timeout=30
    )
    lines = (line.split() for line in listed.stdout.splitlines())
    return frozenset(words[1] for words in lines if len(words) > 2 and "->" in words[2])


def source_input(source: Source, **options: Any) -> Any:
    """``source`` as an ffmpeg-python input; only local files, see ``media.remux`` for the others.

    Raises:
        ValueError: the source is remote: its credentials would show in the list of processes.
    """
    if source.path is None:
        raise ValueError(f"ffmpeg reads local files only; fetch {source.display} first")
    return ffmpeg.input(source.url, **source.options, **options)


def arguments(*outputs: Any) -> list[str]:
    """The whole command of one or more ffmpeg-python outputs, program first."""
    joined = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    command: list[str] = ffmpeg.compile(joined, cmd=executable(), overwrite_output=True)
    general = "-hide_banner -nostdin -nostats -loglevel warning -progress pipe:1 -stats_period 0.25"
    return [command[0], *general.split(), *command[1:]]


def run(
    command: Sequence[str],
    *,
    on_progress: Callable[[float], None] | None = None,
    stall_seconds: int = STALL_SECONDS,
    writes_to: str = "the output folder",
) -> None:
    """Run ``command`` (of ``arguments``) to its end; ``on_progress`` gets seconds of media written so far.

    ffmpeg stays in this process's group, so that a node's signals reach it, and dies with the calling thread.
    When the caller is interrupted, ffmpeg is stopped before the exception goes on.

    Raises:
        DiskFull: no space under ``writes_to``.
        FfmpegEnded: somebody else ended ffmpeg, or nothing moved for ``stall_seconds``.
        FfmpegFailed: any other failure, with the end of ffmpeg's messages.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_die_with(os.getpid()),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    tail: deque[str] = deque(maxlen=_TAIL)
    drain = threading.Thread(target=_drain, args=(process.stderr, tail), daemon=True)
    drain.start()
    watch = _StallWatch(process, stall_seconds)
    furthest = 0.0
    _running.add(process)
    try:
        for line in process.stdout:
            seconds = written_seconds(line.decode(errors="replace"))
            if seconds is not None:
                watch.moved(seconds)
                # Of several outputs ffmpeg tells now of the one, now of the other.
                furthest = max(furthest, seconds)
                if on_progress is not None:
                    on_progress(furthest)
        process.wait()
    finally:
        watch.cancel()
        stop(process)
        _running.discard(process)
        drain.join(STOP_SECONDS)
        process.stdout.close()
    if watch.stalled:
        raise FfmpegEnded(
            f"ffmpeg wrote nothing for {stall_seconds} s and was stopped",
            remedy="Check the input; a file on a network share may have gone away.",
            returncode=process.returncode,
        )
    _judge(process.returncode, list(tail), writes_to)


def written_seconds(line: str) -> float | None:
    """Seconds from a line of ``-progress``; ``None`` for all other lines."""
    key, _, value = line.strip().partition("=")
    if key not in ("out_time_us", "out_time_ms"):  # both are microseconds
        return None
    return max(0.0, int(value) / 1_000_000) if value.lstrip("-").isdigit() else None


def stop(process: subprocess.Popen[bytes], *, grace: float = STOP_SECONDS) -> None:
    """End ``process`` if it still runs: SIGTERM, and SIGKILL after ``grace`` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_all() -> None:
    """Tell every ffmpeg of this process to stop; the threads that run them see ``FfmpegEnded``."""
    for process in tuple(_running):
        process.terminate()


def _judge(returncode: int, tail: list[str], writes_to: str) -> None:
    if returncode == 0:
        return
    said = redact("\n".join(tail)).strip()
    if "No space left on device" in said or "Disk quota exceeded" in said:
        raise disk_full(writes_to)
    if returncode < 0:
        name = signal.Signals(-returncode).name
        raise FfmpegEnded(
            f"ffmpeg was ended by {name}",
            remedy="SIGKILL without a cancellation often means that memory ran out: give the task more."
            if name == "SIGKILL"
            else None,
            returncode=returncode,
        )
    # After one signal it says nothing; whatever it fails for, it says.
    if returncode == _ENDED and (not said or any(words in said for words in _SAID_WHEN_ENDED)):
        raise FfmpegEnded("ffmpeg was told to stop before it had finished", returncode=returncode)
    raise FfmpegFailed(
        f"ffmpeg failed (exit code {returncode}); it said:\n{said or 'nothing'}",
        remedy="Check that the input plays and the options fit it.",
        returncode=returncode,
    )


def _drain(stream: IO[bytes], tail: deque[str]) -> None:
    with stream:
        for line in stream:
            tail.append(line.decode(errors="replace").rstrip())


def _die_with(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


class _StallWatch:
    """Stops a process that writes nothing; counts waits, not wall time: a frozen task has not stalled."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: int) -> None:
        self.stalled = False
        self._process = process
        self._limit = seconds
        self._still = 0
        self._last = -1.0
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="ffmpeg-stall", daemon=True).start()

    def moved(self, seconds: float) -> None:
        if seconds != self._last:
            self._last, self._still = seconds, 0

    def cancel(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1):
            self._still += 1
            if self._still >= self._limit:
                self.stalled = True
                stop(self._process, grace=1)
                return
