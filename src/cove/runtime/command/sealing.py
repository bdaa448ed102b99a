"""Becoming a sealed copy of the interpreter, before anything of a container is touched (``kernel.interpreter``).

The copy is left on a mount, from which the launcher starts the next call at once: a start of Python is a third of one.
"""

import os
import sys

MARK = "COVE_OCI_SEALED"
"""In the environment of the sealed one."""

KEPT = "/run/cove-sealed"
"""Below it, at the path that an interpreter has, its read-only mount. The launcher has this name too."""


def become_sealed() -> None:
    """Returns in the sealed one, where it was not that before. Raises OSError."""
    on_read_only_mount = os.statvfs("/proc/self/exe").f_flag & os.ST_RDONLY  # of ours, or of the host's making
    if os.environ.pop(MARK, "") or on_read_only_mount:
        return
    from cove.kernel import interpreter

    sealed = interpreter.seal()
    _keep()
    os.set_inheritable(sealed, False)  # it is closed by the execve that it is the file of
    os.execve(f"/proc/self/fd/{sealed}", [sys.executable, "-I", "-S", *sys.argv], {**os.environ, MARK: "1"})


def _keep() -> None:
    from cove.kernel import interpreter

    try:
        interpreter.keep_sealed(sys.executable, KEPT + sys.executable)
    except OSError:
        return  # it costs the next call what it costs this one
