import json
import time
from pathlib import Path

from prefect import flow, task
from prefect.runtime import flow_run
from prefect.states import Completed, Failed


@flow
def returned(out: str, kind: str):
    Path(out, "seen.json").write_text(json.dumps({"kind": kind}))
    return (
        Failed(message="as asked") if kind == "failed" else Completed(name="Skipped", message="nothing to do")
    )


@flow(retries=2)
def retried(out: str) -> None:
    Path(out, f"run{flow_run.run_count}").touch()
    if flow_run.run_count < 3:
        raise ValueError("not yet")


@flow(timeout_seconds=0.5)
def late(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"begun": True}))
    for _ in range(100):
        time.sleep(0.05)


@task(retries=1)
def fails() -> None:
    raise ValueError("as asked")


@flow
def child(number: int) -> int:
    return 2 * number


@flow
def parent(out: str) -> None:
    future = fails.submit()
    future.wait()
    seen = {"child": child(21), "task": future.state.type.value}
    Path(out, "seen.json").write_text(json.dumps(seen))
    future.result()
