import asyncio
import decimal
import gc
import locale
import os
import socket
import sys
import time
import warnings

from quiet import main


class Policy(asyncio.DefaultEventLoopPolicy):
    pass


locale.setlocale(locale.LC_ALL, "C.UTF-8")
warnings.filterwarnings("error", message="parity")
decimal.getcontext().prec = 5
decimal.DefaultContext.prec = 6
socket.setdefaulttimeout(7)
sys.setrecursionlimit(12345)
sys.setswitchinterval(0.25)
sys.set_int_max_str_digits(9999)
gc.set_threshold(123, 4, 5)
asyncio.set_event_loop_policy(Policy())
os.environ["TZ"] = "Asia/Tokyo"
time.tzset()
