"""Every input of the corpus through record, transcode, analyze and pipeline, in this process, within a deadline."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skald_blocks import MediaStore
from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.inputs import local_source
from skald_bridge.media.recorder import Recorder
from tests.integration.media.working import Worked
from tests.media_corpus.judging import Outcome, problems
from tests.media_corpus.making import Seen, make, seen
from tests.media_corpus.recipes import KNOWN, TASKS, Recipe, recipes, representative

DEADLINE = 120
"""Seconds for one input through all tasks; a run takes one or two."""
WHOLE = os.environ.get("CORPUS") == "all"
ALL = recipes()


def _case(recipe: Recipe) -> Any:
    known = KNOWN.get(recipe.id)
    return pytest.param(
        recipe, id=recipe.id, marks=pytest.mark.xfail(reason=known, strict=True) if known else ()
    )


def test_the_corpus_is_large_and_its_tenth_has_something_of_each_family():
    assert len(ALL) >= 120
    assert len({each.id for each in ALL}) == len(ALL)
    assert set(KNOWN) <= {each.id for each in ALL}
    tenth = representative(ALL)
    assert {each.family for each in tenth} == {each.family for each in ALL}
    assert len(ALL) / 20 <= len(tenth) <= len(ALL) / 5


@pytest.mark.timeout(DEADLINE, method="signal")
@pytest.mark.parametrize("recipe", [_case(each) for each in (ALL if WHOLE else representative(ALL))])
def test_right_or_refused_with_the_reason(recipe, tmp_path):
    video = make(recipe, tmp_path)
    truth = seen(video)
    assert recipe.damaged or truth.pictures, "the recipe makes nothing that ffmpeg can decode"
    work = Work(tmp_path, truth)
    jobs: dict[str, Callable[[Path], Outcome]] = {
        "record": work.recorded,
        "transcode": work.transcoded,
        "analyze": work.analyzed,
        "pipeline": work.piped,
    }
    found = [each for task in TASKS for each in problems(task, recipe, truth, _tried(jobs[task], video))]
    assert found == []


def _tried(job: Callable[[Path], Outcome], video: Path) -> Outcome:
    try:
        return job(video)
    except SkaldError as error:
        return Outcome(refusal=str(error))


class Work:
    """The media functions of the four tasks, and what came of them by an independent decode."""

    def __init__(self, folder: Path, truth: Seen) -> None:
        scratch = folder / "scratch"
        scratch.mkdir()
        self._store = MediaStore(root=str(folder / "store"))
        self._worked = Worked(self._store, scratch)
        self._height = max(2, truth.size[1] - truth.size[1] % 2)

    def recorded(self, video: Path) -> Outcome:
        made = Recorder(local_source(video), self._store, "record", segment_seconds=lambda: 0.7).run()
        parts = [seen(Path(segment.url)) for segment in made.segments]
        sounding = any(part.sounding for part in parts)
        warnings = [each for each in made.warnings if not each.endswith("is left out")]
        seconds = sum(segment.seconds for segment in made.segments)
        last = seconds - parts[-1].seconds if len(parts) == 1 else 0.04
        pictures = sum(part.pictures for part in parts)
        return Outcome(None, pictures, max(0.0, seconds - last), parts[0].size, sounding, warnings)

    def transcoded(self, video: Path) -> Outcome:
        (made,), warnings = self._worked.transcoded(video, self._height)
        return _of(seen(made), warnings)

    def analyzed(self, video: Path) -> Outcome:
        made = self._worked.analyzed(video)
        whole = made.findings
        sounding = whole.silence is not None
        warnings = [each for each in made.warnings if "is left out" not in each]
        length = whole.seconds / max(1, whole.pictures)
        return Outcome(None, whole.pictures, max(0.0, whole.seconds - length), None, sounding, warnings)

    def piped(self, video: Path) -> Outcome:
        made, warnings = self._worked.piped(video, self._height, part_seconds=0.6, at_least=1)
        return _of(seen(made), warnings)


def _of(made: Seen, warnings: list[str]) -> Outcome:
    told = [each for each in warnings if "is left out" not in each]
    return Outcome(None, made.pictures, made.seconds, made.size, made.sounding, told)
