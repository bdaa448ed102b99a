"""Descriptors of processes: signals that cannot hit a recycled process id. Readable once the process has ended."""

import os
import signal


def open_pid(pid: int) -> int:
    """A close-on-exec descriptor of a process. Raises ProcessLookupError when there is none."""
    return os.pidfd_open(pid)


def send_signal(pidfd: int, number: int) -> bool:
    """Send a signal; False when the process has ended already."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True
