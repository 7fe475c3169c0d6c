"""The three jobs on one video, and what must hold of their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skald_blocks import MediaStore
from skald_bridge.media.findings import Thresholds
from skald_bridge.media.inputs import local_source
from skald_bridge.media.jobs import Analyzed, publish_analysis, publish_renditions
from skald_bridge.media.parted import Dress, PartedJob
from skald_bridge.media.probe import probe
from skald_bridge.media.renditions import Style
from tests.integration.media.inputs import decoded, gray

FRAME = 0.041


class Worked:
    """The three jobs as the product flows do them, on a store of the test."""

    def __init__(self, store: MediaStore, folder: Path) -> None:
        self.store = store
        self._folder = folder
        self._count = 0

    def _scratch(self) -> Path:
        self._count += 1
        scratch = self._folder / f"scratch-{self._count}"
        scratch.mkdir()
        return scratch

    def transcoded(self, path: Path, *heights: int, **style: Any) -> tuple[list[Path], list[str]]:
        """The renditions, and the warnings."""
        local = local_source(path)
        made = publish_renditions(
            local,
            probe(local),
            heights or [120],
            Style(preset="ultrafast", **{"quality": 18, **style}),
            self.store,
            "out",
            self._scratch(),
        )
        return [Path(each.url) for each in made.renditions], made.warnings

    def analyzed(self, path: Path, thumbnail_seconds: float = 0, width: int = 320) -> Analyzed:
        local = local_source(path)
        return publish_analysis(
            local,
            probe(local),
            Thresholds(),
            self.store,
            "out",
            self._scratch(),
            thumbnail_seconds=thumbnail_seconds,
            thumbnail_width=width,
        )

    def piped(
        self, path: Path, height: int = 120, part_seconds: float = 1, at_least: int = 2
    ) -> tuple[Path, list[str]]:
        """The merged video, and the warnings; there must be ``at_least`` so many parts."""
        local = local_source(path)
        job = PartedJob(
            local,
            probe(local),
            self.store,
            f"pipeline-{self._count}",
            self._scratch(),
            title=path.name,
            key="test",
            height=height,
            quality=18,
            preset="ultrafast",
        )
        divided = job.divide(part_seconds)
        assert len(divided) >= at_least
        for part in divided:
            job.transcode(part, Dress())
            job.analyze(part)
        product = job.report(divided, job.merge(divided), 4)
        for warning in product.warnings:
            assert warning in json.loads(Path(product.files["report.json"]).read_text())["warnings"]
        return Path(product.files["video.mp4"]), product.warnings


def assert_all_kept(worked: Worked, video: Path, warnings: tuple[str, ...] = ()) -> None:
    """Transcode and pipeline give every picture at its time."""
    (path,), told = worked.transcoded(video)
    assert told == list(warnings)
    assert_times_kept(path, video)
    path, told = worked.piped(video)
    assert told == list(warnings)
    assert_times_kept(path, video)


def assert_shown_alike(path: Path, like: Path, at: float = 1.0, like_at: float | None = None) -> None:
    """Turned and mirrored alike; compression and colour may differ a little."""
    apart = [
        abs(a - b)
        for a, b in zip(gray(path, at), gray(like, at if like_at is None else like_at), strict=True)
    ]
    assert sum(apart) / len(apart) < 12, apart


def assert_times_kept(path: Path, like: Path) -> None:
    """The same pictures at the same distances, and the sound where it was."""
    before, after = decoded(like), decoded(path)
    assert len(after) == len(before)
    shift = after[0] - before[0]
    assert max(abs(a - b - shift) for a, b in zip(after, before, strict=True)) < 0.002
    sound_before, sound_after = decoded(like, "a:0?"), decoded(path, "a:0?")
    assert bool(sound_before) == bool(sound_after)
    if sound_before:
        assert sound_after[0] - after[0] == pytest.approx(sound_before[0] - before[0], abs=FRAME + 0.02)
        assert sound_after[-1] - after[0] == pytest.approx(sound_before[-1] - before[0], abs=0.1)
