"""Bring an input onto this machine, whole, so that ffmpeg only ever reads local files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from skald_blocks import MediaStore
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.media.errors import BadMedia
from skald_bridge.media.inputs import Policy, Source, StoredInput, check, local_source
from skald_bridge.media.intake import PacketIntake
from skald_bridge.media.segments import SegmentWriter


def resolve(text: str, policy: Policy, store: MediaStore, scratch: Path, *, name: str = "input") -> Source:
    """The input that ``text`` names, checked; one from a store elsewhere is copied into ``scratch``.

    Raises:
        InvalidInput: it may not be used. NotFound: the store has no such object.
    """
    found = check(text, policy, name=name)
    if isinstance(found, Source):
        return found
    return _stored(found, store, scratch, name)


def to_file(
    source: Source,
    folder: Path,
    *,
    seconds: float | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Source:
    """``source`` as a local file: itself, or a stream copy of at most ``seconds`` in ``folder``.

    Raises:
        InvalidInput: it is live and ``seconds`` is not given. Unanswered, BadMedia, DiskFull: as they say.
    """
    if source.path is not None:
        return source
    if source.live and seconds is None:
        raise InvalidInput(
            f"input {source.display!r} is live and has no end", remedy="Give seconds: how long to record."
        )
    with PacketIntake(source, "mkv") as intake:
        writer = SegmentWriter(
            folder / "fetched.mkv",
            "mkv",
            intake.tracks.picture,
            intake.sound,
            geometry=intake.key_frames.geometry,
        )
        try:
            for item in intake.items():
                if item is None or not (writer.pictures or item.key):
                    continue
                if seconds is not None and item.picture and writer.seconds >= seconds:
                    break
                writer.write(item.packet, picture=item.picture, base=item.base)
                if on_progress is not None and item.picture:
                    on_progress(writer.seconds)
            if not writer.pictures:
                raise BadMedia(f"input {source.display!r} sent no key frame", remedy="Check the camera.")
            return local_source(writer.close().path)
        except BaseException:
            writer.discard()
            raise


def _stored(found: StoredInput, store: MediaStore, scratch: Path, name: str) -> Source:
    try:
        path = store.fetch(found.name, scratch)
    except FileNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise NotFound(
            f"{name} store:{found.name} is not in the media store ({store.url(found.name)})",
            remedy="Check the name; every node must use the same store.",
        )
    return local_source(path)
