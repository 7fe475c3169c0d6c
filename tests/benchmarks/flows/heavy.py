"""A no-op that imports what media tasks do; forks share it."""

from __future__ import annotations

import time

import av
import numpy
import PIL.Image
from prefect import flow

from tests.benchmarks.flows.noop import stamp

USED = (av.__version__, numpy.__version__, PIL.__version__)


@flow
def heavy(stamps: str) -> None:
    stamp(time.time(), stamps)
