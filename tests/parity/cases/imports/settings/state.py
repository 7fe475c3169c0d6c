import asyncio
import decimal
import gc
import locale
import socket
import sys
import time
import warnings


def state() -> dict:
    return {
        "locale": locale.setlocale(locale.LC_NUMERIC),
        "warnings": [each[0] for each in warnings.filters if "parity" in str(each[1])],
        "precision": decimal.getcontext().prec,
        "default_precision": decimal.DefaultContext.prec,
        "timeout": socket.getdefaulttimeout(),
        "recursion": sys.getrecursionlimit() == 12345,
        "switch": sys.getswitchinterval(),
        "digits": sys.get_int_max_str_digits(),
        "gc": [gc.isenabled(), gc.get_threshold()],
        "policy": type(asyncio.get_event_loop_policy()).__name__,
        "zone": time.tzname[0],
        "bytecode": sys.dont_write_bytecode,
    }
