"""The two systems that the skalds bench compares, on the same services, one at a time."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Protocol

from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.skalds_peer.house import House, HouseBridge, HouseNode
from tests.services.skalds_peer.processes import SkaldsController, SkaldsNode
from tests.services.skalds_peer.world import World

CLASSES = ("Camera", "Recorder")
THEIRS, OURS = "skalds", "ours"
_SETTLE = 2.0


class Side(Protocol):
    """While it is ``up``, it takes what is inserted into the tasks of ``world``."""

    name: str
    world: World

    def up(self) -> contextlib.AbstractContextManager[None]: ...

    def kill_node(self) -> None:
        """SIGKILL for the node's own process."""
        ...

    def stop_node(self) -> None:
        """SIGTERM, and its end."""
        ...

    def start_node(self) -> None:
        """Again, under the same name."""
        ...

    def kill_controller(self) -> None: ...

    def start_controller(self) -> None: ...


class Theirs:
    """The repaired System Controller and a node of skalds 0.3.8."""

    name = THEIRS

    def __init__(self, world: World) -> None:
        self.world = world
        self._times = 0

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        _clean(self.world)
        self._times += 1
        # A name of its own each time: it is also the node's consumer group, which would read on.
        self._node = SkaldsNode(self.world, f"peer-{self._times}", *CLASSES)
        with SkaldsController(self.world) as self._controller, self._node:
            self._ready()
            yield

    def kill_node(self) -> None:
        self._node.kill_alone()

    def stop_node(self) -> None:
        self._node.end(signal.SIGTERM)

    def start_node(self) -> None:
        self._node.start()

    def kill_controller(self) -> None:
        self._controller.kill_alone()

    def start_controller(self) -> None:
        self._controller.start()

    def _ready(self) -> None:
        until(lambda: self._controller.sees(self._node.called), 60, "the node is seen by its controller")
        time.sleep(_SETTLE)  # nothing says that all its loops have begun


class Ours:
    """Bridge and node; their Prefect server runs all the time."""

    name = OURS

    def __init__(self, world: World, server: PrefectServer) -> None:
        self.world = world
        self.house = House(world, server, *CLASSES)

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        _clean(self.world)
        self._node = HouseNode(self.house, "house-1")
        self._bridge = HouseBridge(self.house, "ours", "house-1")
        with self._node, self._bridge:
            time.sleep(_SETTLE)
            yield
        self._cancel_rest()

    def kill_node(self) -> None:
        self._node.kill_alone()

    def stop_node(self) -> None:
        self._node.end(signal.SIGTERM, 40)

    def start_node(self) -> None:
        self._node.start()

    def kill_controller(self) -> None:
        self._bridge.kill_alone()

    def start_controller(self) -> None:
        self._bridge.start()

    def _cancel_rest(self) -> None:
        """What is left of one measurement is not work for the next."""
        for run in self.house.runs():
            if run["state_type"] in ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"):
                state = {"state": {"type": "CANCELLED"}, "force": True}
                self.house.api("POST", f"/flow_runs/{run['id']}/set_state", state)


def _clean(world: World) -> None:
    """Nothing of an earlier measurement, or of the other system, is left to be taken up."""
    world.tasks.delete_many({})
    world.cache.flushall()
