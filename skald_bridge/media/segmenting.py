"""Where one connection's packets go: into the segment under way, or the next."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from skald_bridge.media.decodable import closes
from skald_bridge.media.intake import Item, PacketIntake, Resume
from skald_bridge.media.seen import PicturesSeen
from skald_bridge.media.segments import SegmentWriter

if TYPE_CHECKING:
    from skald_bridge.media.recorder import Recorder

_PRIMING = 0.15
"""Seconds before the first picture that an encoder's first packets of sound may take: nothing to be heard."""
_LONGEST = 10.0
"""Times its length that a segment may wait for a key frame at which decoding can begin."""
_OPEN_GROUP = "pictures at the beginning of a segment cannot be decoded: its groups of pictures are open"
_EARLY_SOUND = 4000  # packets of sound before the first picture of a file


class Segmenter:
    """The segment under way within one connection.

    A segment begins with a key frame; one that is long enough, that lies beyond a jump of the source's clock, or
    whose pictures are of another kind begins the next. One that pictures shown before it follow does not, as they
    need the group before.
    """

    def __init__(self, recorder: Recorder, intake: PacketIntake, scratch: Path, seen: PicturesSeen) -> None:
        self._recorder = recorder
        self._intake = intake
        self._scratch = scratch
        self._seen = seen
        self._writer: SegmentWriter | None = None
        self._name = ""
        self._begins = 0.0  # of the segment, on the connection's timeline
        self._began = datetime.now(UTC)
        self._since = time.monotonic()
        self._first: float | None = None
        self._jumped = False
        self._held: list[Item] = []  # a key frame that may begin a segment, and sound after it
        self._early: deque[Item] = deque(maxlen=_EARLY_SOUND)
        resume = recorder.recording.resume
        self._pictures = resume.pictures if resume is not None else 0  # of the source, up to here
        self._times_unique = True

    def take(self, item: Item) -> bool:
        """Write one packet; ``False`` when the recording is long enough."""
        self._jumped = self._jumped or item.jumped
        self._times_unique = self._times_unique and not item.jumped
        if self._held:
            if not item.picture:
                self._held.append(item)
                return True
            self._settle(item)
        if self._writer is not None and item.picture:
            if self._recorder.enough(self._writer.seconds):
                return False
            if item.changed or (item.key and (self._jumped or self._due(self._writer))):
                if not (item.changed or self._jumped or self._closed(item)):
                    self._held = [item]
                    return True
                self.finish()
        return self._taken(item)

    def _settle(self, following: Item | None) -> None:
        """The key frame held back begins a segment, unless what follows is shown before it."""
        held, self._held = self._held, []
        writer = self._writer
        assert writer is not None
        if following is None or following.presented >= held[0].presented:
            self.finish()
        elif writer.seconds >= _LONGEST * self._recorder.segment_seconds():
            self.finish()
            self._recorder.warn(_OPEN_GROUP)
        for each in held:
            self._taken(each)

    def _closed(self, item: Item) -> bool:
        """Whether nothing that follows this key frame can need what came before it."""
        context = self._intake.tracks.picture.codec_context
        return not context.has_b_frames or closes(
            self._intake.picture_codec, bytes(item.packet), context.extradata
        )

    def _taken(self, item: Item) -> bool:
        if self._writer is None and not self._begin(item):
            return True
        assert self._writer is not None
        if self._recorder.own_speed:
            self._first = item.presented if self._first is None else self._first
            time.sleep(max(0.0, self._since + item.presented - self._first - time.monotonic()))
        self._write(item)
        return True

    def finish(self, *, whole: bool = True) -> None:
        """Publish the segment under way; ``whole=False``: the source broke off in it."""
        if self._held:
            self._settle(None)
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if whole:
            self._recorder.ended_at(self._pictures)
        if writer.pictures and not self._intake.tracks.whole:
            self._recorder.back(self._seen)
        if writer.pictures and self._recorder.live:
            taken = self._seen.taken(self._begins)
            self._began = datetime.now(UTC) - timedelta(seconds=time.monotonic() - taken)
        self._recorder.keep(writer, self._name, self._began, self._intake.codec, whole=whole)

    def _due(self, writer: SegmentWriter) -> bool:
        return writer.seconds >= self._recorder.segment_seconds()

    def _begin(self, item: Item) -> bool:
        """Whether a segment is under way now: only a key frame begins one."""
        if not item.picture:
            if not self._recorder.live and not self._seen.pictures:
                self._early.append(item)
            return False
        if not item.key or (self._recorder.live and not self._decodable(item)):
            self._pictures += 1
            self._seen.other_pictures += not item.key
            return False
        self._jumped = False
        self._began = datetime.now(UTC)
        self._begins = item.at
        self._name = self._recorder.next_name(self._began)
        path = self._scratch / self._name.rpartition("/")[2]
        intake = self._intake
        picture, sound = intake.tracks.picture, intake.sound
        place = Resume(self._pictures, item.shown if self._times_unique else None)
        early, self._early = self._early, deque(maxlen=_EARLY_SOUND)
        self._writer = SegmentWriter(
            path,
            self._recorder.container,
            picture,
            sound,
            start=_start(item, early[0] if early else None),
            geometry=intake.key_frames.geometry,
        )
        self._recorder.begun(place, self._scratch)
        for each in early:
            self._write(each)
        return True

    def _decodable(self, item: Item) -> bool:
        """Whether a camera's key frame is one; packets that only call themselves so are no pictures."""
        if self._intake.key_frames.size(item.packet) is not None:
            return True
        self._seen.undecodable += 1
        return False

    def _write(self, item: Item) -> None:
        assert self._writer is not None
        if item.picture and self._recorder.on_picture is not None:
            self._recorder.on_picture(item, self._intake)
        try:
            length = (item.packet.duration or 0) * item.base
            self._writer.write(item.packet, picture=item.picture, base=item.base)
        except Exception:
            self._writer.discard()
            self._writer = None
            raise
        if item.picture:
            self._pictures += 1
            self._seen.recorded(item.arrived, item.at, length)
            self._recorder.recorded_picture()
            self._intake.sounds = 0


def _start(picture: Item, sound: Item | None) -> float:
    """Where a segment begins: with its picture, or with sound that begins well before it."""
    begins = picture.presented
    if sound is not None and sound.presented < begins - _PRIMING:
        return sound.presented
    return begins
