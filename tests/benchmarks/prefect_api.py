"""The few Prefect calls a bench makes, over one plain HTTP connection: its own cost is small and constant."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_POLL_SECONDS = 0.25


class Api:
    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)

    def close(self) -> None:
        self._http.close()

    def pool(self, name: str, kind: str) -> None:
        self._call("POST", "/work_pools/", {"name": name, "type": kind})

    def online(self, pool: str, worker: str) -> bool:
        found = self._call("POST", f"/work_pools/{pool}/workers/filter", {})
        return any(each["name"] == worker and each["status"] == "ONLINE" for each in found)

    def starts(self, pool: str) -> dict[str, str]:
        """How a node of the pool starts runs, by the code it has loaded."""
        found = self._call("POST", "/variables/filter", {"limit": 200})
        values = [each["value"] for each in found if isinstance(each["value"], dict)]
        return {
            code: how
            for value in values
            if value.get("pool") == pool
            for code, how in value["starts"].items()
        }

    def deployment(self, pool: str, entrypoint: str, folder: str, name: str = "") -> str:
        """Its id. The flow's name is the function's."""
        function = entrypoint.rpartition(":")[2]
        flow = self._call("POST", "/flows/", {"name": function})["id"]
        made = self._call(
            "POST",
            "/deployments/",
            {
                "name": f"{name or function}-{pool}",
                "flow_id": flow,
                "entrypoint": entrypoint,
                "path": folder,
                "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": folder}}],
                "work_pool_name": pool,
                "enforce_parameter_schema": False,
            },
        )
        return str(made["id"])

    def create(self, deployment: str, parameters: dict[str, Any]) -> tuple[str, float]:
        """The run's id, and the time just before the call."""
        at = time.time()
        made = self._call("POST", f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})
        return str(made["id"]), at

    def runs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        body = {"flow_runs": {"id": {"any_": list(ids)}}, "limit": 200}
        return list(self._call("POST", "/flow_runs/filter", body))

    def states(self, run: str) -> list[dict[str, Any]]:
        return list(self._call("GET", f"/flow_run_states/?flow_run_id={run}", None))

    def ended(self, ids: Sequence[str], seconds: float) -> list[dict[str, Any]]:
        """The runs, once each has a terminal state; asked seldom, to leave the server to the workers."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.runs(ids)
            if len(found) == len(ids) and all(run["state_type"] in TERMINAL for run in found):
                return found
            if time.monotonic() > deadline:
                states = Counter(run["state_name"] for run in found)
                raise AssertionError(f"{len(ids)} runs have not ended within {seconds:g} s: {dict(states)}")
            time.sleep(_POLL_SECONDS)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        reply = self._http.request(method, path, json=body)
        reply.raise_for_status()
        return reply.json()


def last_end(runs: Iterable[dict[str, Any]]) -> float:
    """Unix time of the newest state."""
    stamps = (datetime.fromisoformat(run["state"]["timestamp"]) for run in runs)
    return max(stamp.astimezone(UTC).timestamp() for stamp in stamps)
