import json
import logging
import os
from pathlib import Path

from prefect import flow
from prefect.settings import get_current_settings


@flow
def main(out: str) -> None:
    settings = get_current_settings()
    seen = {
        "level": settings.logging.level,
        "retries": settings.tasks.default_retries,
        "ours": os.environ.get("OURS"),
        "logger": logging.getLogger("prefect").level,
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
