import json
from pathlib import Path

from prefect import flow, task
from prefect.settings import get_current_settings

TRIES = []


@task
def fragile() -> str:
    TRIES.append(1)
    if len(TRIES) == 1:
        raise ValueError("the first time")
    return "done"


@flow
def main(out: str) -> None:
    settings = get_current_settings()
    state = fragile(return_state=True)
    seen = {
        "home": str(settings.home),
        "storage": str(settings.results.local_storage_path),
        "persist": settings.results.persist_by_default,
        "state": state.type.value,
        "tries": len(TRIES),
        "results": any((settings.results.local_storage_path).glob("*"))
        if settings.results.persist_by_default
        else "",
        "refresh": settings.tasks.refresh_cache,
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
