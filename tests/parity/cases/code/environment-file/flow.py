import json
from pathlib import Path

from prefect import flow
import os

from dotenv import load_dotenv

load_dotenv(Path(__file__).with_name("ours.env"))


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"value": os.environ.get("TOKEN")}))
