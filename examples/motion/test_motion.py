"""The task type called as a plain function: no server, no node."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from motion import Motion, motion

from skald_bridge.authoring.testing import updates


@pytest.fixture
def blink(tmp_path: Path) -> str:
    """Two seconds at 10 pictures a second, black; light gray from 1 s on."""
    path = tmp_path / "blink.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for number in range(20):
            picture = np.full((36, 64, 3), 200 if number >= 10 else 0, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


def test_it_finds_the_moment(blink: str) -> None:
    assert motion.fn(Motion(video=blink)) == [1.0]


def test_a_higher_threshold_arrives_while_it_runs(blink: str) -> None:
    with updates() as feed:
        sent = feed.push(threshold=0.9)
        assert motion.fn(Motion(video=blink)) == []
    assert sent.applied
