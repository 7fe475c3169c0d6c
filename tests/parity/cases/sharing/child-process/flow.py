import json
import subprocess
import sys
from pathlib import Path

from prefect import flow

PROGRAM = "import sys\nfor n, line in enumerate(sys.stdin, 1):\n    print(n, line.strip(), flush=True)"
HELPER = subprocess.Popen(
    [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
)


@flow
def main(out: str) -> None:
    Path(out, "helper").write_text(str(HELPER.pid))
    HELPER.stdin.write("work\n")
    answer = HELPER.stdout.readline().strip()
    seen = {"answer": answer, "ours": HELPER.poll() is None}
    HELPER.stdin.close()
    seen["code"] = HELPER.wait(20)
    Path(out, "seen.json").write_text(json.dumps(seen))
