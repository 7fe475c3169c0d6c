import contextvars
import faulthandler
import multiprocessing
import sys
import threading
import tracemalloc

LOCAL = threading.local()
VALUE = contextvars.ContextVar("VALUE", default=None)


def state() -> dict:
    return {
        "method": multiprocessing.get_start_method(allow_none=True),
        "fault": faulthandler.is_enabled(),
        "traced": tracemalloc.is_tracing(),
        "stack": threading.stack_size(),
        "local": getattr(LOCAL, "value", None),
        "context": VALUE.get(),
        "thread": threading.current_thread().name,
        "is_main": threading.current_thread() is threading.main_thread(),
        "hooks": sys.getprofile() is None,
    }
