"""Becoming a sealed copy of the interpreter, before anything of a container is touched (``kernel.interpreter``)."""

import os
import sys

MARK = "COVE_OCI_SEALED"
"""In the environment of the sealed one."""


def become_sealed() -> None:
    """Returns in the sealed one, where it was not that before. Raises OSError."""
    if os.environ.pop(MARK, ""):
        return
    from cove.kernel import interpreter

    sealed = interpreter.seal()
    os.set_inheritable(sealed, False)  # it is closed by the execve that it is the file of
    os.execve(f"/proc/self/fd/{sealed}", [sys.executable, "-I", "-S", *sys.argv], {**os.environ, MARK: "1"})
