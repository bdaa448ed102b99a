"""Python programs that look at a container from inside: the machine's own Python, bound read-only into it."""

import json
import textwrap
from pathlib import Path
from typing import Any

from harness.engine import Engine

BINDS = ("-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro")

CALLS = """
import ctypes, json, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    pid = os.fork()
    if pid == 0:
        signal.alarm(2)
        result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(word) for word in arguments))
        os._exit(0 if result != -1 else ctypes.get_errno())
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
"""
"""Where a script has ``call``."""


def python(engine: Engine, script: str, *flags: str, check: bool = True) -> Any:
    """The JSON that a script prints in a new container."""
    done = engine.docker(
        "run", "--rm", *BINDS, *flags, "busybox", "/usr/bin/python3", "-c", textwrap.dedent(script), check=check
    )
    return json.loads(done.out) if done.out else done


def calls(engine: Engine, wanted: list[list[int]], *flags: str) -> list[int]:
    """What each system call (number, arguments) gives in a new container: errno, 0, or minus a signal's number."""
    script = f"{CALLS}\nprint(json.dumps([call(*item) for item in {wanted!r}]))"
    found: list[int] = python(engine, script, *flags)
    return found


def profile(directory: Path, content: dict[str, Any]) -> str:
    """The option for a seccomp profile of this content."""
    file = directory / "profile.json"
    file.write_text(json.dumps(content))
    return f"--security-opt=seccomp={file}"
