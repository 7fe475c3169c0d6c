import builtins
import json
import socket
import sys
import threading


def state() -> dict:
    return {
        "excepthook": sys.excepthook.__name__,
        "thread_hook": getattr(threading.excepthook, "__name__", "?"),
        "builtin": hasattr(builtins, "parity"),
        "socket": socket.socket.__name__,
        "encoder": json.JSONEncoder.item_separator,
        "stdout": type(sys.stdout).__name__,
        "meta_path": any("Parity" in type(each).__name__ for each in sys.meta_path),
        "attribute": hasattr(threading.Thread, "parity"),
        "finder": sorted(name for name in sys.modules if name.startswith("parity_")),
        "trace": sys.getprofile() is not None,
    }
