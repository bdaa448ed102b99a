"""Bundles and the command ``cove-oci``, as engines call it: a configuration that a test changes, one call at a time."""

import contextlib
import copy
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from cove.kernel import cgroups, mounts
from cove.runtime.command.sealing import KEPT
from harness.engine import BIN

PROGRAM = BIN / "cove-oci"

_INTERPRETER = Path(f"{KEPT}{BIN}/python3")
"""Where calls of it leave the interpreter of this virtual environment."""


def forget_interpreter() -> None:
    """Take away the mount that calls have left for later ones, and the directories that it made."""
    if not _INTERPRETER.parent.is_dir():
        return
    with contextlib.suppress(OSError):  # until none is left
        while True:
            mounts.unmount(str(_INTERPRETER))
    shutil.rmtree(_INTERPRETER.parent)
    with contextlib.suppress(OSError):  # others are kept
        os.removedirs(_INTERPRETER.parents[1])


class Done(NamedTuple):
    """What a call came to."""

    code: int
    out: str
    err: str


class Bundle:
    """A bundle with a busybox root. ``config``: its configuration, written with each call."""

    def __init__(self, directory: Path, root: Path, cgroup_parent: str) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state = directory.parent / "state"
        self.id = f"test-{os.getpid()}-{directory.name}"
        self.cgroup_parent = cgroup_parent
        self.config: dict[str, Any] = _configuration(root, f"{cgroup_parent}/{self.id}")
        self.process: dict[str, Any] = self.config["process"]
        self.linux: dict[str, Any] = self.config["linux"]

    def mount(self, destination: str, kind: str, source: object, *options: str, **more: object) -> None:
        entry = {"destination": destination, "type": kind, "source": str(source), "options": list(options)}
        self.config["mounts"].append({**entry, **more})

    def write(self) -> None:
        (self.directory / "config.json").write_text(json.dumps(self.config))

    def call(self, *words: str, check: bool = True, input: str = "") -> Done:
        """One call of the command with this bundle's root of state."""
        argv = [str(PROGRAM), "--root", str(self.state), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=self.directory, input=input)
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, script: str, *flags: str, check: bool = True) -> Done:
        """Run a shell script as the container's program."""
        self.process["args"] = ["sh", "-c", script]
        self.write()
        return self.call("run", *flags, self.id, check=check)

    def begin(self, script: str, *flags: str) -> None:
        """Create and start it in the background; what it prints is lost, so it holds nobody's pipes."""
        self.process["args"] = ["sh", "-c", script]
        self.write()
        argv = [str(PROGRAM), "--root", str(self.state), "run", "-d", *flags, self.id]
        subprocess.run(
            argv, check=True, cwd=self.directory, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def status(self) -> str:
        return str(json.loads(self.call("state", self.id).out)["status"])

    def pid(self) -> int:
        """Of its first process, on the host."""
        return int(json.loads(self.call("state", self.id).out)["pid"])

    def remove(self) -> None:
        self.call("delete", "--force", self.id)


def remove_cgroups(parent: str) -> None:
    """Remove the control group that the bundles of a test were in."""
    for hierarchy in cgroups.layout().hierarchies:
        directory = Path(hierarchy.mount_point + parent)
        if directory.exists():
            directory.rmdir()


def _configuration(root: Path, cgroup: str) -> dict[str, Any]:
    capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE", "CAP_DAC_OVERRIDE"]
    fixed = ["nosuid", "noexec", "nodev"]
    return copy.deepcopy(
        {
            "ociVersion": "1.2.0",
            "process": {
                "args": ["true"],
                "cwd": "/",
                "env": ["PATH=/bin"],
                "user": {"uid": 0, "gid": 0},
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            },
            "root": {"path": str(root)},
            "hostname": "box",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": fixed},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {
                    "destination": "/dev/pts",
                    "type": "devpts",
                    "source": "devpts",
                    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
                },
            ],
            "linux": {
                "cgroupsPath": cgroup,
                "namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "uts", "ipc", "cgroup")],
                "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            },
        }
    )
