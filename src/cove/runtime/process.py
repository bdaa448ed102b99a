"""The last steps before a program runs: who it is, what it may do, and execve."""

from typing import NamedTuple


class Stdio(NamedTuple):
    """The descriptors that become 0, 1 and 2. With a terminal all three are None: the terminal is used instead."""

    stdin: int | None
    stdout: int | None
    stderr: int | None
