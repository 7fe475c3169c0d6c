import contextvars
import decimal
import json
import os
import resource
import signal
import socket
import threading
from pathlib import Path

from prefect import flow

LOCAL = threading.local()
VALUE = contextvars.ContextVar("VALUE", default=None)
HERE = os.getcwd()
BEFORE = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]


def on_user(*_: object) -> None:
    pass


os.makedirs("data", exist_ok=True)
os.chdir("data")
os.environ["FROM_IMPORT"] = "here"
os.umask(0o027)
LOCAL.value = 1
VALUE.set(2)
decimal.getcontext().prec = 4
socket.setdefaulttimeout(9)
signal.signal(signal.SIGUSR1, on_user)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.alarm(3600)
resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
threading.current_thread().name = "ours"


@flow
def main(out: str) -> None:
    umask = os.umask(0)
    os.umask(umask)
    seen = {
        "started_in": HERE,
        "cwd": os.getcwd(),
        "variable": os.environ.get("FROM_IMPORT"),
        "umask": umask,
        "local": getattr(LOCAL, "value", None),
        "context": VALUE.get(),
        "precision": decimal.getcontext().prec,
        "timeout": socket.getdefaulttimeout(),
        "user": signal.getsignal(signal.SIGUSR1) is on_user,
        "hup": signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
        "alarm": signal.alarm(0) > 0,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "before": [str(getattr(each, "__name__", each)) for each in BEFORE],
        "thread": threading.current_thread().name,
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
