import builtins
import json
import socket
import sys
import threading
import types

from quiet import main


class ParityFinder:
    def find_spec(self, *_: object) -> None:
        return None


class Writer:
    def __init__(self, stream) -> None:
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)


class ParitySocket(socket.socket):
    pass


def hook(*_: object) -> None:
    pass


builtins.parity = True
sys.excepthook = hook
threading.excepthook = hook
threading.Thread.parity = True
socket.socket = ParitySocket
sys.meta_path.append(ParityFinder())
sys.stdout = Writer(sys.stdout)
sys.modules["parity_made"] = types.ModuleType("parity_made")
