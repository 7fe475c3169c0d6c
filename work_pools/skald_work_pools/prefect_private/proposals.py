"""The states of the run that was handed over are proposed until the server answers."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import httpx
import prefect.flow_engine as flow_engine
from prefect.utilities.engine import propose_state, propose_state_sync

from skald_work_pools.prefect_private.clients import no_retries
from skald_work_pools.prefect_private.host import handed
from skald_work_pools.retrying import pauses, unanswered


def insist_on_states() -> None:
    """Propose the run's states until the server answers, with short pauses."""
    propose, propose_async = propose_state_sync, propose_state
    once = no_retries()

    def insisting(client: Any, state: Any, flow_run_id: UUID, force: bool = False) -> Any:
        wait = pauses() if flow_run_id == handed.run_id else iter(())
        while True:
            try:
                with once if flow_run_id == handed.run_id else nullcontext():
                    return propose(client, state, flow_run_id=flow_run_id, force=force)
            except httpx.HTTPError as error:
                if not unanswered(error) or (pause := next(wait, None)) is None:
                    raise
                time.sleep(pause)

    async def insisting_async(client: Any, state: Any, flow_run_id: UUID, force: bool = False) -> Any:
        wait = pauses() if flow_run_id == handed.run_id else iter(())
        while True:
            try:
                with once if flow_run_id == handed.run_id else nullcontext():
                    return await propose_async(client, state, flow_run_id=flow_run_id, force=force)
            except httpx.HTTPError as error:
                if not unanswered(error) or (pause := next(wait, None)) is None:
                    raise
                await asyncio.sleep(pause)

    flow_engine.propose_state_sync = insisting  # type: ignore[attr-defined]
    flow_engine.propose_state = insisting_async  # type: ignore[attr-defined]
