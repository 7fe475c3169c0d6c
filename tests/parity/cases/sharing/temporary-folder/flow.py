import json
import tempfile
from pathlib import Path

from prefect import flow

FOLDER = tempfile.TemporaryDirectory()


@flow
def main(out: str) -> None:
    Path(FOLDER.name, "part").write_text("data")
    earlier = [Path(each.read_text()) for each in Path(out).parent.glob("*/folder")]
    seen = {"parts": len(list(Path(FOLDER.name).iterdir())), "left": sum(each.exists() for each in earlier)}
    Path(out, "seen.json").write_text(json.dumps(seen))
    Path(out, "folder").write_text(FOLDER.name)
