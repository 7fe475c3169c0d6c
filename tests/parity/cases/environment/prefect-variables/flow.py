import json
import os
from pathlib import Path

from prefect import flow
from prefect.blocks.system import Secret
from prefect.variables import Variable

COLOUR = Variable.get(f"colour_{os.environ['ID']}")
TOKEN = Secret.load(f"token-{os.environ['ID']}").get()


@flow
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"colour": COLOUR, "token": TOKEN}))
