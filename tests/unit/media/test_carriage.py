from __future__ import annotations

import pytest

from skald_bridge.media.carriage import carries_picture, for_sound, remedy_for_picture

CONTAINERS = ("mp4", "mkv", "ts")
CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "wmv2", "ffv1", "mpeg2video", "gif", "vc1")


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw", "adpcm_g722", "adpcm_g726", "amr_nb", "wmav2"])
def test_what_no_player_plays_is_encoded(container, codec):
    assert for_sound(container, codec, decoder=True) == "aac"
    assert for_sound(container, codec, decoder=False) == "none"


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_players_play_is_copied(container):
    assert for_sound(container, "aac", decoder=True) == "copy"


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("codec", CODECS)
def test_no_remedy_recommends_what_is_refused(container, codec):
    if carries_picture(container, codec):
        return
    remedy = remedy_for_picture(container, codec)
    named = [each for each in CONTAINERS if f"container {each}" in remedy]
    assert container not in named
    assert all(carries_picture(each, codec) for each in named)
    assert named or "transcode" in remedy
