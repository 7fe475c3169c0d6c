import json
import socket
from pathlib import Path

from prefect import flow

CONNECTION = socket.create_connection(
    ("127.0.0.1", int(Path(__file__).with_name("port").read_text())), timeout=20
)
STREAM = CONNECTION.makefile("rw")


def ask(text: str) -> str:
    STREAM.write(text + "\n")
    STREAM.flush()
    return STREAM.readline().strip()


HELLO = ask("hello")


@flow
def main(out: str) -> None:
    seen = {"hello": HELLO, "asked": ask("work")}
    STREAM.write("bye\n")
    STREAM.flush()
    seen["closed"] = STREAM.readline() == ""
    Path(out, "seen.json").write_text(json.dumps(seen))
