"""Flows that return their failure once instead of raising it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed


def _outcome(folder: str) -> State[Any]:
    attempts = Path(folder) / "attempts"
    with attempts.open("a") as file:
        file.write("tried\n")
    return Failed(message="not yet") if len(attempts.read_text().split()) == 1 else Completed()


@flow(retries=1)
def returned(folder: str) -> State[Any]:
    return _outcome(folder)


@flow(retries=1)
async def returned_async(folder: str) -> State[Any]:
    return _outcome(folder)
