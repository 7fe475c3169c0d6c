"""Recording: a source that comes and goes, cut into whole segments."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from skald_blocks import MediaStore
from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.carriage import Container
from skald_bridge.media.comparison import Intended, compare
from skald_bridge.media.errors import BadMedia, Stalled, Unanswered, naming_full_disk
from skald_bridge.media.held import held
from skald_bridge.media.inputs import Source
from skald_bridge.media.intake import Item, PacketIntake, Resume
from skald_bridge.media.recording import Gap, RecordingIndex, RecordingResult, Segment, adopted, segment_name
from skald_bridge.media.seen import PicturesSeen
from skald_bridge.media.segmenting import Segmenter
from skald_bridge.media.segments import SegmentWriter

FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0
READ_TIMEOUT = 5.0
STALLS = 3
"""Connections in a row that open and bring no lasting picture, until the recording fails."""
_PROMISED = 1.0
"""Seconds that a file may be shorter than its header says."""


def waits(first: float = FIRST_WAIT, longest: float = LONGEST_WAIT) -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling, bounded."""
    wait = first
    while True:
        yield min(wait, longest)
        wait *= 2


@dataclass(frozen=True)
class _Lost:
    """A break: when (monotonic) the last picture before it ended, and why no other came."""

    ended: float
    reason: str


class Recorder:
    """Copies one source into segments of a store until it ends or is told to stop.

    ``segment_seconds`` is asked at every key frame, so that a new value cuts the segment under way.
    """

    def __init__(
        self,
        source: Source,
        store: MediaStore,
        folder: str,
        *,
        segment_seconds: Callable[[], float],
        container: Container = "mp4",
        seconds: float | None = None,
        give_up_after: float = 30.0,
        own_speed: bool = False,
        on_change: Callable[[RecordingResult, str], None] = lambda recording, text: None,
        on_segment: Callable[[Segment], None] = lambda segment: None,
        on_picture: Callable[[Item, PacketIntake], None] | None = None,
        timeout: float = READ_TIMEOUT,
        task: str = "",
    ) -> None:
        """``give_up_after``: seconds without a recorded picture until the recorder connects anew.

        ``own_speed``: read a file no faster than it would play. ``on_change`` hears of segments and breaks,
        ``on_segment`` of each segment once it is in the store, ``on_picture`` of each picture before it is
        written. ``task``: a later recorder of the same task and folder goes on with what this one has made.
        """
        self.recording = RecordingResult()
        self.segment_seconds, self.seconds = segment_seconds, seconds
        self.own_speed = own_speed and source.path is not None
        self.live, self.on_picture = source.live, on_picture
        self.container: Container = container
        self._source, self._store, self._folder = source, store, folder
        self._give_up_after = give_up_after
        self._on_change, self._on_segment = on_change, on_segment
        self._timeout = min(timeout, give_up_after)
        self._index = RecordingIndex(store, folder, task)
        self._since = time.monotonic()
        self._lost: _Lost | None = None
        self._untold: Segment | None = None

    def run(self) -> RecordingResult:
        """Record to the end. What is on its way when this is interrupted is closed and published.

        Raises:
            Unanswered: no picture for ``give_up_after`` seconds. BadMedia: the source is no video, or has not
            one picture that could be recorded. DiskFull: no space; all segments in the recording are whole.
        """
        self._continue()
        if self.seconds is not None and self.recording.seconds >= self.seconds:
            return self.recording
        try:
            self._sessions()
        finally:
            self._tell()
            if self.recording.segments:
                with self._store.scratch() as scratch, contextlib.suppress(OSError, SkaldError):
                    self._index.save(self.recording, scratch)
        with self._store.scratch() as scratch:
            self._index.save(self.recording, scratch, ended=True)
        return self.recording

    def _continue(self) -> None:
        """Take up what an earlier try of this task has made."""
        found = self._index.load()
        if found is None:
            return
        known, unnamed = found
        self.recording = adopted(known, unnamed)
        for segment in unnamed:
            self._on_segment(segment)
        if self.recording.segments:
            self._say(f"goes on after {self._counted()} of an earlier try")
            if self.live:
                last = self.recording.segments[-1]
                ended = datetime.fromisoformat(last.began) + timedelta(seconds=last.seconds)
                silent = (datetime.now(UTC) - ended).total_seconds()
                self._lost = _Lost(time.monotonic() - silent, "the task was started anew")

    def _sessions(self) -> None:
        pauses, stalls = waits(), 0
        while True:
            seen = PicturesSeen(self._source.display, since=time.monotonic())
            try:
                self._session(seen)
                return
            except Unanswered as lost:
                if self._source.path is not None:
                    raise
                self._missed(lost, seen)
                stalled = isinstance(lost, Stalled)
                lasted = seen.lasted() >= self._give_up_after
                if seen.pictures and (lasted or not stalled):
                    pauses = waits()
                stalls = (1 if lasted else stalls + 1) if stalled else 0
                silent = time.monotonic() - self._since
                if stalls >= STALLS or (silent >= self._give_up_after and not stalled):
                    raise Unanswered(self._failure(lost, silent, stalls), remedy=lost.remedy) from lost
                if stalled:
                    self._since = time.monotonic()
                pause = next(pauses) if stalled else min(next(pauses), self._give_up_after - silent)
                self._say(f"lost the source ({lost.message}), trying again in {pause:.1f} s")
                time.sleep(pause)

    def _failure(self, lost: Unanswered, silent: float, stalls: int) -> str:
        often = f", {stalls} times in a row" if stalls >= STALLS else f" for {silent:.0f} s"
        return f"{lost.message}{often}; {len(self.recording.segments)} segments are safe"

    def _missed(self, lost: Unanswered, seen: PicturesSeen) -> None:
        """A break: from here on pictures are missing, unless the source can be read again."""
        if not seen.pictures:
            return
        self.recording.reconnects += 1
        if self.recording.resume is None:
            self._lost = _Lost(seen.taken(seen.last_at), lost.message)

    def _session(self, seen: PicturesSeen) -> None:
        """One connection. A live source that just ends was lost."""
        resume = self.recording.resume
        with (
            PacketIntake(
                self._source,
                self.container,
                timeout=self._timeout,
                resume=resume,
                patience=self._give_up_after,
            ) as intake,
            self._store.scratch() as scratch,
        ):
            if intake.tracks.whole and resume is None:
                self.recording.resume = Resume(0)
            for text in intake.left_out:
                self.warn(f"{text} is left out")
            seen.since = time.monotonic()
            cut = Segmenter(self, intake, scratch, seen)
            try:
                for item in intake.items():
                    if item is not None and not cut.take(item):
                        cut.finish()
                        return
                    if self.live and time.monotonic() - max(self._since, seen.since) >= self._give_up_after:
                        seen.sounds = intake.sounds
                        raise Stalled(
                            f"{seen.words()} for {time.monotonic() - seen.since:.0f} s",
                            remedy="Look at the camera's picture; it may need a restart or other settings.",
                        )
            except BaseException:
                cut.finish(whole=False)
                raise
            cut.finish()
            self._at_the_end(intake, seen)

    def _at_the_end(self, intake: PacketIntake, seen: PicturesSeen) -> None:
        if self.live:
            raise Unanswered(
                f"input {self._source.display!r} stopped sending", remedy="Check the camera and the network."
            )
        if not self.recording.pictures:
            raise BadMedia(
                f"input {self._source.display!r} has nothing that could be recorded: {seen.counts()}",
                remedy="Play it: it must begin with a picture that can be decoded alone.",
            )
        promised, came = intake.tracks.seconds, intake.came
        if promised is None or intake.resumed or came >= promised - _PROMISED:
            return
        self.warn(f"the input's header promises {promised:.1f} s, there were {came:.1f} s")

    def recorded_picture(self) -> None:
        """A picture is in a segment."""
        self._since = time.monotonic()

    def back(self, seen: PicturesSeen) -> None:
        """It is known when this connection's first picture was taken: the gap before it has a length."""
        lost, self._lost = self._lost, None
        if lost is None or not self.recording.segments:
            return
        missing = round(max(0.0, seen.taken(seen.first_at) - lost.ended), 3)
        began = datetime.now(UTC) - timedelta(seconds=time.monotonic() - lost.ended)
        after = self.recording.segments[-1].name
        self.recording.gaps.append(Gap(after, began.isoformat(), missing, lost.reason))
        self._say(f"the picture is back after {missing:.1f} s")

    def enough(self, current: float) -> bool:
        """Whether the asked length is reached, ``current`` seconds into the segment under way."""
        return self.seconds is not None and self.recording.seconds + current >= self.seconds

    def next_name(self, began: datetime) -> str:
        """The name of the segment that begins now; that of the one it replaces, if it does."""
        recording = self.recording
        if recording.partial is not None:
            recording.segments = [each for each in recording.segments if each.name != recording.partial]
            self._untold = None
            return recording.partial
        return segment_name(self._folder, began, len(recording.segments), self.container)

    def begun(self, resume: Resume, scratch: Path) -> None:
        """A segment begins where ``resume`` says; sources that cannot be read again keep no place."""
        if self.recording.resume is not None:
            self.recording.resume = resume
        if not self.recording.segments:  # a process that is killed from now on has left something
            self._index.save(self.recording, scratch)

    def keep(self, writer: SegmentWriter, name: str, began: datetime, codec: str, *, whole: bool) -> None:
        """Finish and publish a segment; ``whole=False``: it is made anew if its source comes back."""
        if not writer.pictures:
            writer.discard()
            return
        written = writer.close()
        if writer.damaged:
            self.warn(f"segment {written.path.name}: {writer.damaged} damaged packets of sound are left out")
        for difference in compare(written.content, held(written.path), Intended()):
            self.warn(f"segment {written.path.name}: {difference}")
        with naming_full_disk(written.path.parent):
            url = self._store.publish(written.path, name)
        seconds = round(written.seconds, 3)
        segment = Segment(
            name, url, began.isoformat(), seconds, written.bytes, codec, written.content.pictures
        )
        again = self.recording.resume is not None and not whole
        replaced, self.recording.partial = self.recording.partial, name if again else None
        self.recording.segments.append(segment)
        if again:
            self._untold = segment
        else:
            self._on_segment(segment)
        self._index.save(self.recording, written.path.parent, now=again or replaced is not None)
        self._say(self._counted())

    def ended_at(self, pictures: int) -> None:
        """The segment under way ended whole after so many pictures of the source."""
        if self.recording.resume is not None:
            self.recording.resume = Resume(pictures)

    def _tell(self) -> None:
        untold, self._untold = self._untold, None
        if untold is not None:
            self._on_segment(untold)

    def _counted(self) -> str:
        return f"{self.recording.seconds:.1f} s in {len(self.recording.segments)} segments"

    def warn(self, text: str) -> None:
        """Tell, once, what is not as it came in."""
        if self.recording.warn(text):
            self._say(text)

    def _say(self, text: str) -> None:
        self._on_change(self.recording, text)
