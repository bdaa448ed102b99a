"""Where everything in the daemon stands, for whoever has to find out why it hangs: SIGQUIT writes it to a file."""

import asyncio
import io
import logging
import os
import sys
import threading
import time
import traceback
from types import FrameType

log = logging.getLogger(__name__)


def dump(directory: str) -> str:
    """Write the stacks of all tasks and threads to a new file; its path, which is logged as well."""
    path = os.path.join(directory, f"stacks-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}.log")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(report())
    log.info("stacks written to %s", path)
    return path


def report() -> str:
    """The stacks of all tasks of the running loop and of all threads, as text."""
    text = io.StringIO()
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        task.print_stack(file=text)
        text.write("\n")
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        text.write(f"thread {names.get(ident, ident)}:\n{_stack(frame)}\n")
    return text.getvalue()


def _stack(frame: FrameType) -> str:
    return "".join(traceback.format_stack(frame))
