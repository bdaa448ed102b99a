"""Where a shim's own failures are written: ``shim.log`` in its run directory, made when there is something to say."""

import os
import sys


def to_file(run_dir: str) -> None:
    """Have standard error go to the log from here on. Best effort: a report must not be a second failure."""
    try:
        log = os.open(f"{run_dir}/shim.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.dup2(log, 2, inheritable=True)
        os.close(log)
    except OSError:
        pass


def failure(run_dir: str, error: BaseException) -> None:
    """Write an error and where it was raised."""
    to_file(run_dir)
    sys.excepthook(type(error), error, error.__traceback__)  # in C: nothing is imported
