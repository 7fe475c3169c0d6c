import faulthandler
import json
import sys
import warnings
from pathlib import Path

import helper
from prefect import flow


def asserts() -> bool:
    try:
        assert not helper.NAME
    except AssertionError:
        return True
    return False


def warns() -> str:
    try:
        warnings.warn("ours", UserWarning, stacklevel=1)
    except UserWarning:
        return "error"
    return "warning"


@flow
def main(out: str) -> None:
    seen = {
        "hash": hash("the same text") % 1000 if sys.flags.hash_randomization == 0 else "random",
        "flags": {
            name: getattr(sys.flags, name) for name in ("optimize", "no_user_site", "hash_randomization")
        },
        "asserts": asserts(),
        "warns": warns(),
        "fault": faulthandler.is_enabled(),
        "digits": sys.get_int_max_str_digits(),
        "unbuffered": sys.stdout.write_through,
        "bytecode": sys.dont_write_bytecode,
        "prefix": sys.pycache_prefix,
        "options": sorted(each for each in sys.warnoptions if "UserWarning" in each),
        "cached": helper.__cached__ is not None and Path(helper.__cached__).exists(),
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
