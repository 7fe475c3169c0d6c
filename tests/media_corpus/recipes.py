"""The corpus as data: each input as ffmpeg's words, what is done to the file then, and who must refuse it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TASKS = ("record", "transcode", "analyze", "pipeline")
EVERY = 10
"""The default run takes every so many-th recipe of each family."""
KNOWN = {
    "codec-h264-avi": "AVI gives no time to pictures: ffmpeg and we place the first one apart, which is told",
}
"""What is not right yet, by id."""
_SECONDS = 1.2


@dataclass(frozen=True)
class Recipe:
    """``words``: of ffmpeg, before the file's name; ``damage``: a function of ``making``; ``refused``: tasks that must.

    ``damaged``: a task may refuse it, or tell what it lost.
    """

    family: str
    name: str
    suffix: str
    words: tuple[str, ...]
    refused: tuple[str, ...] = ()
    damage: str = ""

    @property
    def id(self) -> str:
        return f"{self.family}-{self.name}"

    @property
    def damaged(self) -> bool:
        return bool(self.damage)


def recipes() -> tuple[Recipe, ...]:
    """All, in a fixed order; their ids are unique."""
    return (*_codecs(), *_sounds(), *_times(), *_geometries(), *_damages())


def representative(all_: Sequence[Recipe]) -> list[Recipe]:
    """A fixed tenth that has something of each family."""
    families: dict[str, list[Recipe]] = {}
    for each in all_:
        families.setdefault(each.family, []).append(each)
    return [each for family in families.values() for each in family[EVERY // 2 :: EVERY]]


def picture(size: str = "160x120", rate: str = "25", seconds: float = _SECONDS, more: str = "") -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}{more}"]


def tone(seconds: float = _SECONDS, rate: int = 48000) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=f=440:d={seconds}:r={rate}"]


_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10"]
_B_FRAMES = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p"]
_ENCODERS: dict[str, tuple[str, str]] = {
    "h264": (" ".join(_H264), "mp4 mov mkv ts avi flv mxf nut asf h264"),
    "h264-b": (" ".join(_B_FRAMES), "mp4 mov mkv ts avi flv"),
    "hevc": ("-c:v libx265 -preset ultrafast -x265-params log-level=none -g 10", "mp4 mov mkv ts hevc"),
    "mpeg4": ("-c:v mpeg4 -g 10", "mp4 avi mkv mov ts asf nut"),
    "mpeg2": ("-c:v mpeg2video -g 10 -b:v 1M", "ts mpg mkv mxf mp4 avi"),
    "mpeg1": ("-c:v mpeg1video -g 10 -b:v 1M", "mpg mkv ts"),
    "vp8": ("-c:v libvpx -deadline realtime -cpu-used 8 -g 10", "webm mkv ivf"),
    "vp9": ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 10", "webm mp4 mkv ivf"),
    "av1": ("-c:v libsvtav1 -preset 12 -g 10 -svtav1-params lp=1", "mp4 mkv webm ivf"),
    "mjpeg": ("-c:v mjpeg -pix_fmt yuvj420p", "avi mov mkv mjpeg mp4"),
    "prores": ("-c:v prores_ks -profile:v 0 -pix_fmt yuv422p10le", "mov mkv"),
    "ffv1": ("-c:v ffv1", "mkv avi"),
    "theora": ("-c:v libtheora -g 10", "ogg mkv"),
    "wmv2": ("-c:v wmv2 -g 10", "asf avi"),
    "flv1": ("-c:v flv1 -g 10", "flv"),
    "msmpeg4": ("-c:v msmpeg4 -g 10", "avi"),
    "huffyuv": ("-c:v huffyuv -pix_fmt yuv422p", "avi mkv"),
    "raw": ("-c:v rawvideo -pix_fmt yuv420p", "nut avi"),
    "gif": ("-c:v gif", "gif"),
    "y4m": ("-pix_fmt yuv420p", "y4m"),
}
_IN_MP4 = {"h264", "h264-b", "hevc", "mpeg4", "mpeg2", "mpeg1", "vp9", "av1", "mjpeg"}
_NO_TIMES = {"h264", "hevc", "mjpeg", "y4m", "ivf", "gif"}


def _codecs() -> Iterator[Recipe]:
    for codec, (words, suffixes) in _ENCODERS.items():
        for suffix in suffixes.split():
            refused: tuple[str, ...] = () if codec in _IN_MP4 else ("record",)
            if suffix == "mjpeg":
                refused = TASKS  # no container at all
            sound = [] if suffix in _NO_TIMES or codec in ("raw", "av1") else tone()
            chosen = ["-c:a", {"webm": "libopus", "ogg": "libvorbis", "mxf": "pcm_s16le"}.get(suffix, "aac")]
            if suffix in ("mpg", "flv", "asf", "avi"):
                chosen = ["-c:a", "mp2" if suffix == "mpg" else "libmp3lame"]
            made = [*picture(), *sound, *words.split(), *(chosen if sound else [])]
            yield Recipe("codec", f"{codec}-{suffix}", suffix, tuple(made), refused)
    fragmented = [*picture(), *tone(), *_H264, "-c:a", "aac", "-movflags"]
    yield Recipe("codec", "fragmented", "mp4", (*fragmented, "+frag_keyframe+empty_moov"))
    yield Recipe("codec", "faststart", "mp4", (*fragmented, "+faststart"))


def _sounds() -> Iterator[Recipe]:
    kinds = {
        "mp3": "-c:a libmp3lame", "ac3": "-c:a ac3", "opus": "-c:a libopus", "flac": "-c:a flac",
        "pcm": "-c:a pcm_s16le", "pcm24": "-c:a pcm_s24le", "alaw": "-c:a pcm_alaw -ar 8000 -ac 1",
        "vorbis": "-c:a libvorbis", "surround": "-c:a aac -ac 6", "mono": "-c:a aac -ac 1 -ar 16000", "none": "-an",
    }  # fmt: skip
    for name, words in kinds.items():
        yield Recipe("sound", name, "mkv", (*picture(), *tone(), *_H264, *words.split()))
    two = ["-map", "0", "-map", "1", "-map", "2", "-c:a", "aac"]
    yield Recipe("sound", "two-tracks", "mp4", (*picture(), *tone(), *tone(), *_H264, *two))
    for name, seconds in {"longer": 2.0, "shorter": 0.6}.items():
        yield Recipe("sound", name, "mp4", (*picture(), *tone(seconds), *_H264, "-c:a", "aac"))
    for name, first in {"later": ["-itsoffset", "0.5"], "earlier": []}.items():
        offset = [] if name == "later" else ["-itsoffset", "0.5"]
        yield Recipe("sound", name, "mkv", (*offset, *picture(), *first, *tone(), *_H264, "-c:a", "aac"))


def _times() -> Iterator[Recipe]:
    for rate in ("5", "10", "12.5", "24000/1001", "24", "30000/1001", "30", "50", "60", "100"):
        yield Recipe("time", f"rate-{rate.replace('/', '-')}", "mp4", (*picture(rate=rate), *_H264))
    for suffix in ("mp4", "mkv", "ts"):
        uneven = ["-vf", "setpts='(N*0.04+0.012*mod(N,3))/TB'", "-fps_mode", "vfr"]
        yield Recipe("time", f"uneven-{suffix}", suffix, (*picture(), *uneven, *_B_FRAMES))
        gap = ["-vf", "select='lt(n,10)+gte(n,22)'", "-fps_mode", "vfr"]
        yield Recipe("time", f"gap-{suffix}", suffix, (*picture(), *gap, *_H264))
        late = ["-output_ts_offset", "1000"]
        yield Recipe("time", f"late-{suffix}", suffix, (*picture(), *tone(), *_H264, "-c:a", "aac", *late))
    wrap = ["-output_ts_offset", "95443", "-muxdelay", "0"]
    yield Recipe("time", "wraps-ts", "ts", (*picture(), *tone(), *_H264, "-c:a", "aac", *wrap))
    lengths = {"one-picture": 0.04, "two-pictures": 0.08, "three-pictures": 0.12}
    for name, seconds in lengths.items():
        yield Recipe("time", name, "mp4", (*picture(seconds=seconds), *_H264))
    groups = {
        "intra": "-g 1",
        "one-group": "-g 250",
        "open-gop": "-x264-params open-gop=1:bframes=3:keyint=10",
    }
    for name, words in groups.items():
        yield Recipe("time", name, "mp4", (*picture(), *_B_FRAMES, *words.split()))


def _geometries() -> Iterator[Recipe]:
    for turn in ("turn-90", "turn-180", "turn-270", "mirror"):
        yield Recipe("geometry", turn, "mp4", (*picture(), *tone(), *_H264, "-c:a", "aac"))
    for name, aspect in {"wide-pixels": "4/3", "high-pixels": "1/2"}.items():
        for suffix in ("mp4", "mkv", "ts"):
            yield Recipe(
                "geometry", f"{name}-{suffix}", suffix, (*picture(), "-vf", f"setsar={aspect}", *_H264)
            )
    for size in ("120x160", "64x64", "640x64", "162x122", "1920x1080"):
        yield Recipe("geometry", f"size-{size}", "mp4", (*picture(size), *_H264))
    odd = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-g", "10"]
    yield Recipe("geometry", "odd-size", "mp4", (*picture("161x121"), *odd))
    formats = {"yuv422p": _H264, "yuv444p": _H264, "yuv420p10le": _H264, "gray": _H264}
    for form, encoder in formats.items():
        yield Recipe("geometry", form, "mp4", (*picture(), *encoder, "-pix_fmt", form))
    full = ["-vf", "scale=out_range=pc", "-color_range", "pc"]
    yield Recipe("geometry", "full-range", "mp4", (*picture(), *full, *_H264))
    hdr = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    hdr += ["-pix_fmt", "yuv420p10le"]
    yield Recipe("geometry", "pq", "mp4", (*picture(), *_H264, *hdr))
    tff = ["-vf", "setfield=tff", "-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-g", "10"]
    yield Recipe("geometry", "interlaced", "ts", (*picture(), *tff))
    alpha = [
        "-c:v",
        "libvpx-vp9",
        "-pix_fmt",
        "yuva420p",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-g",
        "10",
    ]
    yield Recipe("geometry", "alpha", "webm", (*picture(), *alpha))


def _damages() -> Iterator[Recipe]:
    whole = (*picture(), *tone(), *_H264, "-c:a", "aac")
    mp3 = (*picture(), *tone(), *_H264, "-c:a", "libmp3lame")
    for suffix in ("mp4", "mkv", "ts", "flv", "avi"):
        words = mp3 if suffix == "avi" else whole
        refused = TASKS if suffix in ("mp4", "mkv") else ()
        yield Recipe("damage", f"cut-{suffix}", suffix, words, refused, "cut")
    for damage in ("zeros", "flips", "lost"):
        for suffix in ("mp4", "mkv", "ts", "avi"):
            yield Recipe(
                "damage", f"{damage}-{suffix}", suffix, mp3 if suffix == "avi" else whole, (), damage
            )
    yield Recipe("damage", "garbage-before", "ts", whole, (), "garbage_before")
    yield Recipe("damage", "garbage-after", "mp4", whole, (), "garbage_after")
    for name in ("empty", "text"):
        yield Recipe("damage", name, "mp4", whole, TASKS, name)
    yield Recipe("damage", "sound-alone", "mp4", (*tone(), "-c:a", "aac"), TASKS, "none")
