import json
import locale
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import prefect
from prefect import flow
from prefect.context import FlowRunContext
from prefect.runtime import deployment, flow_run


def name(handler) -> str:
    return getattr(handler, "__name__", str(handler)) if callable(handler) else str(handler)


def main_module() -> list:
    main = sys.modules["__main__"]
    return [Path(getattr(main, "__file__", "")).name, main.__spec__ and main.__spec__.name]


def process() -> dict:
    umask = os.umask(0)
    os.umask(umask)
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = os.path.realpath(".")
    return {
        "argv": sys.argv,
        "orig_argv": [Path(each).name for each in sys.orig_argv],
        "executable": sys.executable,
        "flags": {
            each: getattr(sys.flags, each)
            for each in dir(sys.flags)
            if not each.startswith(("_", "n_", "safe")) and each not in ("index", "count")
        },
        "safe_path": sys.flags.safe_path,
        "path": list(dict.fromkeys(each for each in sys.path if "site-packages" not in each)),
        "cwd": own,
        "pwd": os.environ.get("PWD"),
        "main": main_module(),
        "signals": {
            each.name: name(signal.getsignal(each))
            for each in sorted(signal.valid_signals())
            if isinstance(each, signal.Signals) and each.value < 32
        },
        "blocked": sorted(each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "ignored": status["SigIgn"],
        "wakeup": signal.set_wakeup_fd(-1),
        "umask": umask,
        "limits": {
            each: resource.getrlimit(getattr(resource, each))
            for each in dir(resource)
            if each.startswith("RLIMIT")
        },
        "nice": os.nice(0),
        "affinity": len(os.sched_getaffinity(0)),
        "threads": sorted(each.name for each in threading.enumerate() if each is threading.main_thread()),
        "current": threading.current_thread() is threading.main_thread(),
        "kernel_name": Path("/proc/self/comm").read_text().strip(),
        "stdin": os.readlink("/proc/self/fd/0").partition(":")[0],
        "stdout": os.readlink("/proc/self/fd/1").partition(":")[0],
        "stdin_tty": sys.stdin.isatty(),
        "encodings": [
            sys.stdin.encoding,
            sys.stdout.encoding,
            sys.stderr.encoding,
            sys.stdout.line_buffering,
        ],
        "locale": locale.setlocale(locale.LC_ALL),
        "zone": time.tzname,
        "leader": [os.getpid() == os.getpgid(0), os.getpid() == os.getsid(0)],
        "own_parent": os.getppid() > 1,
        "subreaper": "",
        "dumpable": status["CapEff"],
        "seccomp": status.get("Seccomp"),
        "no_new_privileges": status.get("NoNewPrivs"),
        "recursion": sys.getrecursionlimit(),
        "excepthook": sys.excepthook is sys.__excepthook__,
        "oom": Path("/proc/self/oom_score_adj").read_text().strip(),
    }


AT_IMPORT = process()


@flow
def main(out: str) -> None:
    environment = {
        key: os.environ[key]
        for key in sorted(os.environ)
        if key.startswith(("PREFECT__", "PYTHON", "TZ", "LANG", "LC_", "VIRTUAL")) and "WORKER" not in key
    }
    environment["PREFECT__FLOW_RUN_ID"] = environment.get("PREFECT__FLOW_RUN_ID") == str(flow_run.id)
    environment["PREFECT__DEPLOYMENT_ID"] = environment.get("PREFECT__DEPLOYMENT_ID") == str(deployment.id)
    environment["PREFECT__DEPLOYMENT_NAME"] = environment.get("PREFECT__DEPLOYMENT_NAME") == deployment.name
    environment["PREFECT__FLOW_ID"] = environment.get("PREFECT__FLOW_ID") == str(
        FlowRunContext.get().flow_run.flow_id
    )
    context = FlowRunContext.get()
    seen = {
        "at_import": AT_IMPORT,
        "in_flow": process(),
        "module": {
            "name": __name__,
            "file": __file__,
            "spec": str(__spec__ and __spec__.name),
            "package": __package__,
            "loader": type(__loader__).__name__,
            "in_modules": sys.modules.get(__name__) is not None,
        },
        "environment": environment,
        "runtime": [flow_run.flow_name, flow_run.run_count, list(flow_run.parameters), deployment.version],
        "context": [context.flow.name, type(context.task_runner).__name__, context.start_time is not None],
        "prefect": prefect.__version__,
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
