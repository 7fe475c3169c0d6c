import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner
from work import double, where


def here(number: int) -> int:
    return 3 * number


@task
def tripled(number: int) -> int:
    return 3 * number


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def inner() -> list[int]:
    return tripled.map([1, 2]).result()


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__


@flow
def main(out: str) -> None:
    seen = {"default": multiprocessing.get_start_method()}
    for method in ("fork", "spawn", "forkserver"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            seen[method] = [outcome(lambda: list(pool.map(each, [1, 2]))) for each in (double, where, here)]
    seen["runner"] = outcome(inner)
    Path(out, "seen.json").write_text(json.dumps(seen))
