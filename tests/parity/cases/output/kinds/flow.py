import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

from prefect import flow, get_run_logger

print("printed at import")


@flow
def main(out: str) -> None:
    def line(text: str, end: str = "\n") -> str:
        return f"{out}|{text}{end}"

    Path(out, "seen.json").write_text(json.dumps({"tty": sys.stdout.isatty(), "fd": sys.stdout.fileno()}))
    print(line("print"), end="")
    print(line("print to stderr"), end="", file=sys.stderr)
    sys.stdout.flush()
    get_run_logger().info("logged")
    os.write(1, line("written to 1").encode())
    os.write(2, line("written to 2").encode())
    subprocess.run(["echo", line("echoed", "")], check=True)
    libc = ctypes.CDLL(None)
    libc.printf(line("printf").encode())
    libc.fflush(None)
    os.write(1, out.encode() + b"|no utf-8: \xff\xfe\n")
    for number in range(0, 101, 10):
        os.write(1, f"\r{number}%".encode())
    os.write(1, b"\r" + line("100%").encode())
    print(line("umlauts: \u00e4\u00f6\u00fc \u2603"), end="")
    sys.stdout.flush()
    os.write(1, line("without an end", "").encode())
