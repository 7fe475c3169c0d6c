import faulthandler
import multiprocessing
import threading
import tracemalloc

from quiet import main
from state import LOCAL, VALUE

multiprocessing.set_start_method("spawn")
faulthandler.enable()
tracemalloc.start()
threading.stack_size(1 << 20)
threading.current_thread().name = "ours"
LOCAL.value = "set at import"
VALUE.set("set at import")
