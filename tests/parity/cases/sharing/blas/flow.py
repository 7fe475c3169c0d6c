import json
from pathlib import Path

import numpy as np
from prefect import flow

MATRIX = np.ones((600, 600)) @ np.ones((600, 600))


@flow
def main(out: str) -> None:
    product = MATRIX @ np.ones((600, 600))
    inverse = np.linalg.inv(np.eye(300) * 2)
    seen = {"product": float(product[0, 0]), "inverse": float(inverse.sum())}
    Path(out, "seen.json").write_text(json.dumps(seen))
