import json
import random
from pathlib import Path

import numpy as np
from prefect import flow

random.seed(42)
np.random.seed(42)
OBJECT = random.Random(7)
GENERATOR = np.random.default_rng(7)
STATE = np.random.RandomState(7)


@flow
def main(out: str) -> None:
    exact = random.random()
    seen = {
        "exact": exact,
        "global": [random.random(), random.choice("abc")],
        "numpy": [float(np.random.random()), float(np.random.normal())],
        "object": OBJECT.random(),
        "generator": float(GENERATOR.normal()),
        "state": float(STATE.random()),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
