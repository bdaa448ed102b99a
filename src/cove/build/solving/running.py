"""What the builder needs of whoever can start programs: a RUN, in a root of layers with a new one on top."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

STDOUT, STDERR = 1, 2

Output = Callable[[int, bytes], None]
"""Told the stream, STDOUT or STDERR, and what came on it."""


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a build's containers may use. Memory in bytes, periods in microseconds, as in the Engine API.

    ``extra_hosts``: ``name:address``. ``ulimits``: name, soft, hard. ``network``: as ``docker build --network``.
    """

    network: str = ""
    extra_hosts: Sequence[str] = ()
    shm_size: int = 0
    ulimits: Sequence[tuple[str, int, int]] = ()
    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    security_opt: Sequence[str] = ()
    isolation: str = ""


@dataclass(frozen=True)
class StepMount:
    """What a program sees at ``destination``. ``kind``: bind (of ``source`` on the host), layers or tmpfs.

    ``lower``: the layers, uppermost first, of which ``subpath`` is shown. ``size``: bytes of a tmpfs, 0 is no bound.
    """

    kind: str
    destination: str
    source: str = ""
    lower: tuple[str, ...] = ()
    subpath: str = ""
    writable: bool = True
    size: int = 0


@dataclass(frozen=True)
class WantedDevice:
    """A device of CDI, or, by a name without ``=``, the first of its kind. ``required``: nothing runs without it."""

    name: str
    required: bool = False


@dataclass(frozen=True)
class Command:
    """One program. ``id``: of its container, 64 hex digits. ``lower``: its root, uppermost layer first.

    ``network``: default, none or host. ``insecure``: with all privileges. ``platform``: what its programs are for.
    """

    id: str
    arguments: Sequence[str]
    environment: Sequence[str]
    directory: str
    user: str
    lower: Sequence[str]
    limits: Limits
    network: str = "default"
    insecure: bool = False
    hostname: str = ""
    platform: str = ""
    mounts: Sequence[StepMount] = field(default_factory=tuple)
    devices: Sequence[WantedDevice] = field(default_factory=tuple)


@dataclass(frozen=True)
class Ran:
    """How it ended. ``upper``: the overlay's directory of changes. ``stubs``: where things were mounted."""

    exit_code: int
    upper: str
    stubs: Sequence[str]


class Runner(Protocol):
    """Starts programs as containers are started."""

    def run(self, command: Command, output: Output) -> AbstractAsyncContextManager[Ran]:
        """Run it to its end; what it wrote stays while the context lasts, and nothing after it.

        Cancelled, it kills the program and leaves nothing. Raises CoveError when it cannot start.
        """

    def check(self, limits: Limits) -> None:
        """Raises InvalidArgument, in Docker's words, for limits that no container can have."""
