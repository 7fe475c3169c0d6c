import os
import resource
import signal


def name(handler) -> str:
    return getattr(handler, "__name__", str(handler)) if callable(handler) else str(handler)


def state() -> dict:
    umask = os.umask(0)
    os.umask(umask)
    signals = (signal.SIGUSR1, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD)
    return {
        "umask": umask,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "stack": resource.getrlimit(resource.RLIMIT_STACK)[0],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "nice": os.nice(0),
        "signals": {each.name: name(signal.getsignal(each)) for each in signals},
        "timer": signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0,
        "blocked": sorted(each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }
