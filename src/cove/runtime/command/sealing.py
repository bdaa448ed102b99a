"""Becoming a sealed copy of the interpreter, before anything of a container is touched (``kernel.interpreter``)."""

import os
import sys

from cove.kernel import interpreter

MARK = "COVE_OCI_SEALED"
"""In the environment of the sealed one: the descriptor that it was executed from."""


def become_sealed() -> None:
    """Returns in the sealed one, where it was not that before. Raises OSError."""
    given = os.environ.pop(MARK, "")
    if given.isdecimal():
        os.close(int(given))
        return
    sealed = interpreter.seal()
    arguments = [sys.executable, "-I", "-S", *sys.argv]
    os.execve(f"/proc/self/fd/{sealed}", arguments, {**os.environ, MARK: str(sealed)})
