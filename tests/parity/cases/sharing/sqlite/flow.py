import json
import os
import sqlite3
from pathlib import Path

from prefect import flow

FILE = sqlite3.connect("ours.db", timeout=5)
FILE.execute("create table if not exists runs (pid)")
FILE.execute("insert into runs values (?)", [os.getpid()])
MEMORY = sqlite3.connect(":memory:")
MEMORY.execute("create table runs (pid)")


@flow
def main(out: str) -> None:
    FILE.commit()
    MEMORY.execute("insert into runs values (1)")
    seen = {
        "own": FILE.execute("select count(*) from runs where pid = ?", [os.getpid()]).fetchone()[0],
        "all": FILE.execute("select count(*) from runs").fetchone()[0],
        "memory": MEMORY.execute("select count(*) from runs").fetchone()[0],
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
