"""Network namespaces of our own, so that bridges, firewall rules and published ports never touch the machine's."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DIRECTORY = Path("/run/netns")


class NetworkNamespace:
    """A named network namespace with ``lo`` up. ``delete`` it at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = DIRECTORY / name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.run(["ip", "link", "set", "lo", "up"])

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv``, to be run in the namespace.

        Not by ``ip netns exec``: that remounts /sys and so hides the cgroup hierarchies.
        """
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in the namespace to its end. Raises CalledProcessError unless ``check`` is False."""
        merged: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "timeout": 30, **options}
        return subprocess.run(self.command(argv), **merged)

    @property
    def inode(self) -> int:
        """What ``/proc/<pid>/ns/net`` of a process in the namespace refers to."""
        return self.path.stat().st_ino

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
