"""Settings below /proc/sys. Those below ``net`` are of the network namespace that the caller is in."""

from pathlib import Path

_ROOT = Path("/proc/sys")


def read(name: str) -> str:
    """The value of a setting, e.g. ``net/ipv4/ip_forward``. Raises OSError."""
    return (_ROOT / name).read_text().strip()


def write(name: str, value: str) -> bool:
    """Change a setting; whether it was another. One that has the value may be read-only. Raises OSError."""
    changed = read(name) != value
    if changed:
        (_ROOT / name).write_text(value)
    return changed
