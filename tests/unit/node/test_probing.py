"""What a load of user code is found to read and do, each in a process of its own, as a node probes it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from skald_work_pools.node.forked.findings import choose
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.processes.zygote_client import ZygoteClient
from tests.services.poll import until

T = TypeVar("T")

FLOW = "\nfrom prefect import flow\n@flow\ndef go(): ...\n"
Prober = Callable[[Path, str], Loaded]


@pytest.fixture(scope="module")
def probed() -> Iterator[Prober]:
    """Probes code as ``code_of_a_user.py`` of a folder, in a fork of one stem."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def wait(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    async def up() -> ZygoteClient:
        stem = ZygoteClient({**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])})
        await stem.execute_self()
        await stem.import_prefect()
        return stem

    stem = wait(up())

    async def probe(folder: Path) -> Loaded:
        zygote = ZygoteClient(stem.environment)
        await zygote.branch_off(stem)
        try:
            return await zygote.probe(str(folder), "code_of_a_user.py:go")
        finally:
            await zygote.close()

    def probe_code(folder: Path, code: str) -> Loaded:
        (folder / "code_of_a_user.py").write_text(code + FLOW)
        return wait(probe(folder))

    yield probe_code
    wait(stem.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


FORKED = {
    "nothing": "",
    "libraries": "import numpy, logging, PIL.Image, av, psutil, httpx\nlog = logging.getLogger(__name__)",
    "logging": "import logging\nlogging.basicConfig()\nlogging.warning('loading')",
    "constants": "import datetime, re\nD = datetime.datetime(2020, 1, 1)\nR = re.compile('x')",
    "a lock": "import threading\nL = threading.Lock()",
    "a folder": "import os\nos.makedirs('out', exist_ok=True)",
    "reading": "from pathlib import Path\nT = Path(__file__).read_text()",
    "a closed file": "open(__file__).close()",
    "an executor without threads": "from concurrent.futures import ThreadPoolExecutor as E\nE(2)",
    "environment": "import os\nos.environ['A'] = 'b'\nos.umask(0o077)",
    "numpy's blas": "import numpy\nnumpy.ones((200, 200)) @ numpy.ones((200, 200))",
}
IMPORTED = {
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "an executor": "from concurrent.futures import ThreadPoolExecutor as E\nP = E(2)\nP.submit(int).result()",
    "an open file": "F = open(__file__)",
    "a socket": "import socket\nS = socket.socket()",
    "an event loop": "import asyncio\nL = asyncio.new_event_loop()",
    "a temporary folder": "import tempfile\nT = tempfile.TemporaryDirectory()",
    "a temporary file": "import tempfile\nT = tempfile.NamedTemporaryFile()",
    "seeded": "import random\nrandom.seed(3)",
    "drawn": "import random\nX = random.random()",
    "a generator": "import random\nR = random.Random()",
    "numpy seeded": "import numpy\nnumpy.random.seed(3)",
    "numpy's generator": "import numpy as np\nG = np.random.default_rng()",
    "uuid": "import uuid\nU = uuid.uuid4()",
    "secrets": "import secrets\nS = secrets.token_hex()",
    "pid": "import os\nP = os.getpid()",
    "a shared map": "import mmap\nM = mmap.mmap(-1, 4096)",
    "a process's lock": "import multiprocessing\nL = multiprocessing.Lock()",
    "a signal handler": "import signal\nsignal.signal(signal.SIGUSR1, print)",
    "a limit": "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "socket timeout": "import socket\nsocket.setdefaulttimeout(3)",
    "sqlite": "import sqlite3\nC = sqlite3.connect('x.db')",
}
LATE = {
    "an exit handler": "import atexit\natexit.register(print)",
    "a finalizer": "import weakref\nclass A: ...\nX = A()\nweakref.finalize(X, print)",
    "a clock": "import time\nT = time.time()",
    "a default argument": "import datetime\ndef f(now=datetime.datetime.now()): ...",
    "a date": "from datetime import date\nD = date.today()",
    "monotonic": "from time import monotonic\nT = monotonic()",
    "a clock in a helper": "def stamp():\n    import time\n    return time.time()\nT = stamp()",
    "writing": "open('log.txt', 'w').close()",
    "removing": "import pathlib\npathlib.Path('x').touch()\npathlib.Path('x').unlink()",
    "a process": "import subprocess\nsubprocess.run(['true'])",
    "a shell": "import os\nos.system('true')",
    "the network": "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError: ...",
    "a server": "import socket\nS = socket.create_server(('127.0.0.1', 0))",
    "a locked file": "import fcntl\nF = open(__file__)\nfcntl.flock(F, fcntl.LOCK_EX)",
    "the machine now": "import psutil\nM = psutil.virtual_memory()",
    "the run": "import os\nR = os.environ.get('PREFECT__FLOW_RUN_ID')",
    "a timer": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 60)",
}
CASES = [
    pytest.param(start, code, id=f"{start}: {name}")
    for start, cases in {"forked": FORKED, "imported": IMPORTED, "late": LATE}.items()
    for name, code in cases.items()
]


@pytest.mark.parametrize(("start", "code"), CASES)
def test_what_an_import_does_decides_how_runs_start(
    probed: Prober, tmp_path: Path, start: str, code: str
) -> None:
    loaded = probed(tmp_path, code)
    assert loaded.problem == "" and loaded.name == "go"
    assert choose(loaded.findings).start == start, loaded.findings


def test_an_import_that_fails_says_why_and_what_it_had_read(probed: Prober, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("A = 1\n")
    loaded = probed(tmp_path, "import helper\nraise KeyError('colour')")
    assert "KeyError: 'colour'" in loaded.problem
    assert str(tmp_path / "helper.py") in loaded.reads.files


def test_what_a_probe_has_made_is_gone_and_what_user_code_does_at_its_end_is_not_done(
    probed: Prober, tmp_path: Path
) -> None:
    code = """
import atexit, os, tempfile
from pathlib import Path
folder = tempfile.TemporaryDirectory(dir=".")
file = tempfile.NamedTemporaryFile(dir=".")
Path("made").write_text(folder.name + " " + file.name)
atexit.register(Path("ended").touch)
"""
    probed(tmp_path, code)
    made = (tmp_path / "made").read_text().split()
    until(lambda: not any(Path(each).exists() for each in made), 10, "temporary files removed")
    assert not (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("import helper", "helper.py"),
        ("try: import local_settings\nexcept ImportError: ...", "local_settings.py"),
        ("from pathlib import Path\nQ = Path(__file__).with_name('q.sql').exists()", "q.sql"),
        ("try: open('settings.toml')\nexcept OSError: ...", "settings.toml"),
        ("import os\nN = os.listdir('.')", "anything.at.all"),
        ("import glob\nN = glob.glob('*.yaml')", "more.yaml"),
        ("import os\nF = os.path.isfile('flag')", "flag"),
    ],
)
def test_what_a_load_read_or_looked_for_makes_it_stale(
    probed: Prober, tmp_path: Path, code: str, change: str
) -> None:
    (tmp_path / "helper.py").write_text("A = 1\n")
    loaded = probed(tmp_path, code)
    assert loaded.reads.changed() is None
    (tmp_path / change).write_text("B = 2\n")
    assert loaded.reads.changed() is not None
