import os
import time
from pathlib import Path


def loop(out: str) -> None:
    with Path(out, "child").open("a") as file:
        file.write(f"{os.getpid()} ")
    while True:
        time.sleep(1)
