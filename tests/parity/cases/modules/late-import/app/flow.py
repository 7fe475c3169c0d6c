import importlib
import importlib.util
import json
import os
from pathlib import Path

from prefect import flow


def found(name: str) -> str:
    try:
        return importlib.import_module(name).NAME
    except ImportError as error:
        return type(error).__name__


@flow
def main(out: str) -> None:
    seen = {"here": [found("plugins.one.part")], "spec": importlib.util.find_spec("app") is not None}
    os.chdir("/")
    seen["there"] = [found("sibling")]
    Path(out, "seen.json").write_text(json.dumps(seen))
