import json
import os
import random
import secrets
import tempfile
import uuid
from pathlib import Path

import numpy as np
from prefect import flow

OBJECT = random.Random()
GENERATOR = np.random.default_rng()
STATE = np.random.RandomState()
AT_IMPORT = {
    "global": random.random(),
    "random_object": OBJECT.random(),
    "numpy_global": float(np.random.random()),
    "numpy_generator": float(GENERATOR.random()),
    "numpy_state": float(STATE.random()),
    "uuid4": str(uuid.uuid4()),
    "uuid1": str(uuid.uuid1()),
    "secret": secrets.token_hex(),
    "urandom": os.urandom(8).hex(),
    "name": tempfile.mktemp(),
    "hash": hash("the same text"),
}


@flow
def main(out: str) -> None:
    later = {
        "later_global": random.random(),
        "later_object": OBJECT.random(),
        "later_numpy": float(np.random.random()),
        "later_generator": float(GENERATOR.random()),
        "later_uuid": str(uuid.uuid4()),
    }
    Path(out, "seen.json").write_text(json.dumps(AT_IMPORT | later))
