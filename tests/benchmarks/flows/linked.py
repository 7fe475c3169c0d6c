"""Two no-ops that differ in name: one is deployed to a linked node's pool, one to another's."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import flow


@flow(name="linked")
def linked(file: str) -> None:
    Path(file).write_text(repr(time.time()))


@flow(name="unlinked")
def unlinked(file: str) -> None:
    Path(file).write_text(repr(time.time()))
