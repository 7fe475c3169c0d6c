"""Sound that a container does not carry, encoded to AAC on the way, in step with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.audio.fifo
import av.audio.resampler
import av.error

_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_DRIFT = 0.02
"""Seconds that sound may lie beside its time before silence fills, or a piece is cut."""
_LONGEST_SILENCE = 10.0


class AacEncoder:
    """One sound track through decoder and encoder. Its packets carry times in seconds of the timeline."""

    def __init__(self, stream: Any) -> None:
        """``stream``: a track with a decoder, of which the rate is known."""
        source = stream.codec_context
        self.rate = source.sample_rate if source.sample_rate in _RATES else 48_000
        self.layout = "mono" if source.channels == 1 else "stereo"
        self._decoder = source
        self._resampler = av.audio.resampler.AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
        self._encoder: Any = av.CodecContext.create("aac", "w")
        self._encoder.sample_rate = self.rate
        self._encoder.layout = self.layout
        self._encoder.format = "fltp"
        self._encoder.bit_rate = 64_000 if self.layout == "mono" else 128_000
        self._encoder.time_base = Fraction(1, self.rate)
        self._begin: float | None = None
        self._samples = 0
        self.undecodable = 0

    def encode(self, packet: Any, at: float) -> list[Any]:
        """AAC packets of ``packet``, which is to be heard ``at`` seconds; often none or several."""
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self.undecodable += 1
            return []
        made: list[Any] = []
        for frame in frames:
            length = frame.samples / frame.sample_rate
            made += self._frame(frame, at)
            at += length
        return made

    def finish(self) -> list[Any]:
        """What the encoder still holds."""
        if self._begin is None:
            return []
        try:
            return self._in_time(self._encoder.encode(None))
        except (av.error.FFmpegError, EOFError):
            return []

    def _frame(self, frame: Any, at: float) -> list[Any]:
        if self._begin is None:
            self._begin = at
        behind = at - (self._begin + self._samples / self.rate)
        made: list[Any] = []
        if behind > _LONGEST_SILENCE or behind < -_LONGEST_SILENCE:
            # another clock: what follows is heard at its own time
            self._begin = at - self._samples / self.rate
        elif behind > _DRIFT:
            for piece in self._silence(round(behind * self.rate)):
                made += self._put(piece)
        elif behind < -_DRIFT:
            return made
        frame.pts = None
        for piece in self._resampler.resample(frame):
            made += self._put(piece)
        return made

    def _silence(self, samples: int) -> Iterator[Any]:
        while samples > 0:
            size = min(samples, 1024)
            frame = av.AudioFrame(format="fltp", layout=self.layout, samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = self.rate
            samples -= size
            yield frame

    def _put(self, frame: Any) -> list[Any]:
        frame.pts = self._samples
        frame.time_base = Fraction(1, self.rate)
        self._samples += frame.samples
        return self._in_time(self._encoder.encode(frame))

    def _in_time(self, packets: list[Any]) -> list[Any]:
        shift = round((self._begin or 0.0) * self.rate)
        for packet in packets:
            packet.time_base = Fraction(1, self.rate)
            packet.pts += shift
            packet.dts = packet.pts
        return packets
