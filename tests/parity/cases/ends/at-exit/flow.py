import atexit
import json
import logging
import threading
import weakref
from pathlib import Path

from prefect import flow


class Thing:
    def __del__(self) -> None:
        KEPT["note"]("del")


KEPT = {}


@flow
def main(out: str) -> None:
    def note(text: str) -> None:
        with Path(out, "notes").open("a") as file:
            file.write(text + "\n")

    KEPT["note"] = note
    KEPT["file"] = Path(out, "unflushed").open("w")
    KEPT["file"].write("in the buffer")
    atexit.register(note, "first")
    atexit.register(logging.getLogger("ours").info, "at exit")
    atexit.register(note, "second")
    threading._register_atexit(note, "threading")
    weakref.finalize(Thing, note, "finalize")
    Path(out, "seen.json").write_text(json.dumps({"begun": True}))
