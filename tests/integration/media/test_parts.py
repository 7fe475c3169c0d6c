"""Splitting and putting together: no picture is lost, none comes twice."""

from __future__ import annotations

import pytest

from skald_bridge.media import cutting
from skald_bridge.media.contents import read
from skald_bridge.media.findings import Span, find
from skald_bridge.media.inputs import local_source
from skald_bridge.media.measure import join, measure
from skald_bridge.media.probe import probe
from skald_bridge.media.renditions import Style, encoder_here, ladder, render
from tests.services.footage import bikes, bunny, reel


def test_scenes_of_real_footage():
    found = find(measure(local_source(bikes())))
    assert found.scenes == [1.2, 3.04, 5.48, 7.48, 9.68]
    assert found.pictures == 250
    assert found.silence is None


def test_black_and_silence_of_real_footage():
    found = find(measure(local_source(reel())))
    assert found.black == [Span(10.0, 11.0)]
    assert found.silence is not None
    assert found.silence[0].start == 0.0
    assert found.silence[0].end == pytest.approx(12, abs=0.3)


@pytest.mark.parametrize(("clip", "copied"), [(bikes, True), (bunny, False)])
def test_parts_hold_every_picture_once(clip, copied, tmp_path):
    source = local_source(clip())
    facts = probe(source)
    reading = read(source, facts)
    plan = cutting.plan_cuts(reading.cuts, reading.content.seconds, 2.5)
    assert plan.copied == copied
    parts = [local_source(path) for path in cutting.split(source, facts, reading, plan, tmp_path)]
    assert len(parts) == len(plan.starts) + 1
    whole, joined = measure(source), join(measure(part) for part in parts)
    assert len(joined.times) == len(whole.times)
    assert find(joined).scenes == pytest.approx(find(whole).scenes, abs=0.002)


def test_merged_parts_are_the_whole(tmp_path):
    source = local_source(reel())
    facts = probe(source)
    reading = read(source, facts)
    plan = cutting.plan_cuts(reading.cuts, 16.28, 4)
    done = []
    for index, path in enumerate(cutting.split(source, facts, reading, plan, tmp_path)):
        folder = tmp_path / str(index)
        folder.mkdir()
        part = local_source(path)
        (made,) = render(
            part,
            probe(part),
            read(part, probe(part)),
            ladder([180], facts),
            folder,
            style=Style(sound=False, preset="ultrafast"),
            encoder=encoder_here({}),
        )
        done.append(made.path)
    starts = [0.0, *plan.starts]
    merged = local_source(cutting.merge(done, starts, source, facts, reading, tmp_path / "merged.mp4"))
    shown = probe(merged)
    assert (shown.height, shown.audio_codec, shown.channels) == (180, "aac", 2)
    assert shown.seconds == pytest.approx(16.28, abs=0.1)
    assert len(measure(merged).times) == 407
    assert find(measure(merged)).scenes == pytest.approx(find(measure(source)).scenes, abs=0.05)
    assert not list(tmp_path.glob("merge-*"))
