import os
import sys


def state() -> dict:
    return {
        "variable": os.environ.get("PARITY_LEFT"),
        "removed": "HOME" in os.environ,
        "cwd": os.getcwd(),
        "path": [each for each in sys.path if "left-behind" in each],
        "prefect": os.environ.get("PREFECT_LOGGING_LEVEL"),
        "argv": sys.argv[1:],
    }
