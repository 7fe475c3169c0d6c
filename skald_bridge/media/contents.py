"""What an input really holds, counted packet by packet: nothing is decoded, no header is believed."""

from __future__ import annotations

import statistics
from array import array
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import av

from skald_bridge.media.comparison import Content, Intended, Kind, compare
from skald_bridge.media.decodable import begins
from skald_bridge.media.inputs import Source
from skald_bridge.media.probe import Probe, opened, tracks_of
from skald_bridge.media.timeline import Timeline

_LEAPING = ("mpegts", "mpeg", "rtsp", "flv", "asf")
_STEPS = 4000


@dataclass(frozen=True)
class Reading:
    """``times``: of all pictures as shown, ascending, in seconds from the first one.

    ``step``: seconds from one picture to the next, as a rule. ``cuts``: where decoding can begin with
    nothing before it. ``clean``: every picture says its time, and none jumps. ``before``: seconds from what
    the container calls its beginning to its first picture; below 0 where it is wrong. ``opening``: that
    beginning on the container's own clock. ``promised``: the container's length in seconds, ``None`` where
    other tracks may be what lasts so long.
    """

    content: Content
    times: array[float]
    step: float
    cuts: list[float]
    clean: bool
    before: float
    opening: float
    jumps: int
    promised: float | None

    @property
    def shift(self) -> dict[str, str]:
        """Options for ffmpeg, which drops or moves what comes before the beginning."""
        return {"itsoffset": f"{-self.before:.6f}"} if self.before < 0 else {}

    @property
    def leads(self) -> float:
        """Seconds at which ffmpeg, given ``shift``, reads the first picture."""
        return max(0.0, self.before)

    @property
    def picture_seconds(self) -> float:
        """The longest time that one picture may count."""
        last = self.content.seconds - self.times[-1] if self.times else 0.0
        return max(self.step, last)


def differences(read: Reading, made: Content, facts: Probe, intended: Intended) -> list[str]:
    """``compare`` for what was read from an input with ``facts``."""
    bounds = replace(intended, picture_seconds=max(read.picture_seconds, intended.picture_seconds))
    if facts.interlaced and abs(read.content.pictures - 2 * made.pictures) <= 2:
        bounds = replace(bounds, pictures=made.pictures)  # a container may count fields
    return compare(read.content, made, bounds)


def remarks(read: Reading, facts: Probe) -> list[str]:
    """What people should know of an input: tracks left out, a header that promises more than there is."""
    said = list(facts.left_out)
    end = max(read.content.ends, default=0.0) + read.before
    if read.promised is not None and not read.jumps:
        slack = max(1.0, 0.02 * read.promised) + max(0.0, read.opening)  # some count from 0 on
        if read.promised > end + slack:
            said.append(f"the input says it lasts {read.promised:.1f} s, but holds {end:.1f} s")
    return said


def read(source: Source, facts: Probe) -> Reading:
    """Count all of a local ``source``.

    Raises:
        BadMedia: it cannot be read to its end.
    """
    with opened(source) as container:
        video, audio = tracks_of(container, facts)
        tally = PacketTally(container, facts)
        for packet in container.demux(*([video, audio] if audio else [video])):
            tally.take(packet)
    return tally.reading()


class PacketTally:
    """Counts the packets of the picture and the sound of one container, in the order they come."""

    def __init__(self, container: av.container.InputContainer, facts: Probe) -> None:
        self._facts = facts
        self._line = Timeline(forward=container.format.name in _LEAPING)
        video = container.streams[facts.picture]
        self._codec, self._extradata = video.codec_context.name, video.codec_context.extradata
        # below 0 Matroska has only what an encoder's first sound is decoded from
        self._heard_from = 0.0 if container.format.name.startswith("matroska") else float("-inf")
        self._opening = (container.start_time or 0) / av.time_base
        alone = len(container.streams) == (1 if facts.sound is None else 2)
        self._promised = container.duration / av.time_base if alone and container.duration else None
        self._times = array("d")
        self._cuts: list[float] = []
        self._newest = float("-inf")
        self._ending = (float("-inf"), 0.0)
        self._dts: float | None = None
        self._clean = True
        self._sound: tuple[float, float] | None = None

    def take(self, packet: av.Packet[Any]) -> float | None:
        """Count ``packet`` and make its times ascend; returns its time, ``None`` for one that is not shown."""
        if packet.size == 0:
            return None
        base = packet.time_base
        seconds = float((packet.duration or 0) * base)
        if packet.stream_index == self._facts.picture:
            return self._picture(packet, seconds)
        if packet.pts is None:
            return None
        self._shift(packet, float((packet.dts if packet.dts is not None else packet.pts) * base), seconds)
        if packet.is_discard:
            return None
        at = float(packet.pts * base)
        first, last = self._sound or (at, at)
        self._sound = (min(first, at), max(last, at + seconds))
        return at

    def reading(self) -> Reading:
        times = array("d", sorted(self._times))
        first = times[0] if times else 0.0
        last = times[-1] - first if times else 0.0
        steps = [after - at for at, after in pairwise(times[:_STEPS]) if after > at]
        step = statistics.median(steps) if steps else 1 / self._facts.fps
        seconds = last + (self._ending[1] or step) if times else 0.0
        kinds: tuple[Kind, ...] = ("video",)
        starts: tuple[float, ...] = (0.0,)
        ends: tuple[float, ...] = (round(seconds, 4),)
        if self._sound is not None:
            kinds = ("video", "audio")
            starts = (0.0, round(max(self._sound[0], self._heard_from) - first, 4))
            ends = (*ends, round(self._sound[1] - first, 4))
        content = Content(
            len(times), round(seconds, 4), kinds, starts, (self._facts.width, self._facts.height), ends
        )
        shown = array("d", (round(at - first, 5) for at in times))
        cuts = [round(at - first, 5) for at in self._cuts]
        return Reading(
            content,
            shown,
            step,
            cuts,
            self._clean and not self._line.jumps,
            first - self._opening,
            self._opening,
            self._line.jumps,
            self._promised,
        )

    def _picture(self, packet: av.Packet[Any], seconds: float) -> float | None:
        base = packet.time_base
        usual = 1 / self._facts.fps
        if packet.dts is None and packet.pts is None:
            self._clean = False
            packet.pts = packet.dts = round(((self._dts if self._dts is not None else -usual) + usual) / base)
        self._dts = float(((packet.dts if packet.dts is not None else packet.pts) or 0) * base)
        self._shift(packet, self._dts, seconds or usual)
        if packet.is_discard:
            return None
        if packet.pts is None:
            self._clean = False
        at = float((packet.pts if packet.pts is not None else packet.dts or 0) * base)
        while self._cuts and self._cuts[-1] > at:
            self._cuts.pop()  # a picture that is shown before it needs what came before it
        if packet.is_keyframe and at > self._newest and begins(self._codec, bytes(packet), self._extradata):
            self._cuts.append(at)
        self._newest = max(self._newest, at)
        self._ending = max(self._ending, (at, seconds))
        self._times.append(at)
        return at

    def _shift(self, packet: av.Packet[Any], at: float, seconds: float) -> None:
        offset = self._line.offset(packet.stream_index, at, seconds)
        if offset:
            ticks = round(offset / packet.time_base)
            if packet.pts is not None:
                packet.pts += ticks
            if packet.dts is not None:
                packet.dts += ticks
