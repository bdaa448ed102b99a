"""Statistics of a running container. Times in nanoseconds, sizes in bytes; counters since the start."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class CPUUsage(Wire, rename=None):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"percpu_usage"})

    total_usage: int = 0
    percpu_usage: list[int] | None = None
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class ThrottlingData(Wire, rename=None):
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CPUStats(Wire, rename=None):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"system_cpu_usage", "online_cpus"})

    cpu_usage: CPUUsage = field(default_factory=CPUUsage)
    system_cpu_usage: int = 0
    online_cpus: int = 0
    throttling_data: ThrottlingData = field(default_factory=ThrottlingData)


class MemoryStats(Wire, rename=None):
    """``stats``: the kernel's memory.stat."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"usage", "max_usage", "stats", "failcnt", "limit"})

    usage: int = 0
    max_usage: int = 0
    stats: dict[str, int] | None = None
    failcnt: int = 0
    limit: int = 0


class BlkioEntry(Wire, rename=None):
    major: int
    minor: int
    op: str
    value: int


class BlkioStats(Wire, rename=None):
    io_service_bytes_recursive: list[BlkioEntry] | None = None
    io_serviced_recursive: list[BlkioEntry] | None = None
    io_queue_recursive: list[BlkioEntry] | None = None
    io_service_time_recursive: list[BlkioEntry] | None = None
    io_wait_time_recursive: list[BlkioEntry] | None = None
    io_merged_recursive: list[BlkioEntry] | None = None
    io_time_recursive: list[BlkioEntry] | None = None
    sectors_recursive: list[BlkioEntry] | None = None


class NetworkStats(Wire, rename=None):
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class PidsStats(Wire, rename=None):
    """``limit``: 0 is none."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"current", "limit"})

    current: int = 0
    limit: int = 0


class Stats(Wire, rename=None):
    """One sample, and in ``preread`` and ``precpu_stats`` the one before. ``networks``: by interface."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"networks"})

    read: str
    os_type: str = "linux"
    preread: str = "0001-01-01T00:00:00Z"
    pids_stats: PidsStats = field(default_factory=PidsStats)
    blkio_stats: BlkioStats = field(default_factory=BlkioStats)
    num_procs: int = 0
    storage_stats: dict[str, int] = field(default_factory=dict)
    cpu_stats: CPUStats = field(default_factory=CPUStats)
    precpu_stats: CPUStats = field(default_factory=CPUStats)
    memory_stats: MemoryStats = field(default_factory=MemoryStats)
    name: str = ""
    id: str = ""
    networks: dict[str, NetworkStats] | None = None
