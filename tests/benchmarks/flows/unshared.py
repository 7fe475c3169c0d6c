"""The same imports, and a thread: each process must import it by itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import av
import numpy
import PIL.Image
from prefect import flow

from tests.benchmarks.flows.noop import stamp

USED = (av.__version__, numpy.__version__, PIL.__version__)
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()


@flow
def unshared(stamps: str) -> None:
    stamp(time.time(), stamps)
