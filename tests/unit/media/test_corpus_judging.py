from __future__ import annotations

from dataclasses import replace

import pytest

from tests.media_corpus.judging import Outcome, problems
from tests.media_corpus.making import Seen
from tests.media_corpus.recipes import Recipe

TRUTH = Seen(30, 1.16, (160, 120), sounding=True)
WHOLE = Recipe("codec", "x", "mp4", ())
DAMAGED = replace(WHOLE, damage="cut")
MADE = Outcome(None, 30, 1.16, (160, 120), True)


@pytest.mark.parametrize(
    ("recipe", "outcome"),
    [
        (WHOLE, MADE),
        (WHOLE, replace(MADE, size=(162, 120), seconds=1.2)),
        (WHOLE, replace(MADE, size=None, sounding=None)),
        (replace(WHOLE, refused=("record",)), Outcome("cannot hold it")),
        (DAMAGED, Outcome("it is truncated")),
        (DAMAGED, replace(MADE, pictures=12, warnings=["expected 30 pictures, made 12"])),
        (DAMAGED, replace(MADE, pictures=31)),
    ],
)
def test_right_or_refused(recipe, outcome):
    assert problems("record", recipe, TRUTH, outcome) == []


@pytest.mark.parametrize(
    ("recipe", "outcome", "said"),
    [
        (WHOLE, replace(MADE, pictures=29), "29 pictures of 30"),
        (WHOLE, replace(MADE, seconds=0.9), "0.90 s from first to last of 1.16 s"),
        (WHOLE, replace(MADE, size=(120, 160)), "shown as"),
        (WHOLE, replace(MADE, sounding=False), "sound: False"),
        (WHOLE, replace(MADE, warnings=["something"]), "warns: something"),
        (WHOLE, Outcome("no"), "refused it: no"),
        (DAMAGED, Outcome(" "), "without a word"),
        (replace(WHOLE, refused=("record",)), MADE, "did not refuse it"),
        (DAMAGED, replace(MADE, pictures=29), "no word about it"),
        (DAMAGED, replace(MADE, pictures=0, warnings=["x"]), "without a picture"),
    ],
)
def test_wrong(recipe, outcome, said):
    (problem,) = problems("record", recipe, TRUTH, outcome)
    assert said in problem
