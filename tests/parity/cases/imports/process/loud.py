import os
import resource
import signal

from quiet import main


def on_user(*_: object) -> None:
    pass


signal.signal(signal.SIGUSR1, on_user)
signal.signal(signal.SIGCHLD, on_user)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
signal.setitimer(signal.ITIMER_VIRTUAL, 3600)
os.umask(0o077)
os.nice(1)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
