"""Imports that a zygote cannot take."""

import threading
import time
from pathlib import Path

from prefect import flow

threading.Thread(target=time.sleep, args=(3600,), name="eager", daemon=True).start()


@flow
def eager(folder: str) -> None:
    (Path(folder) / "eager").write_text("ran")
