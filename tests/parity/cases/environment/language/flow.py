import json
import locale
import sys
from pathlib import Path

from prefect import flow

AT_IMPORT = [locale.getpreferredencoding(False), sys.stdout.encoding, sys.stdout.errors]


@flow
def main(out: str) -> None:
    with open(Path(out) / "text.new", "w") as file:
        encoding = file.encoding
    seen = {
        "at_import": AT_IMPORT,
        "file": encoding,
        "filesystem": [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()],
        "utf8_mode": sys.flags.utf8_mode,
        "locale": locale.setlocale(locale.LC_CTYPE),
        "stderr": [sys.stderr.encoding, sys.stderr.errors],
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
