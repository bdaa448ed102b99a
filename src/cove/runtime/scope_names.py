"""A container's ``linux.cgroupsPath`` as a unit of systemd, ``slice:prefix:name``, and the control group that it has.

The form is runc's and thereby every engine's ("systemd cgroup driver"); where a unit is in the tree: systemd.slice(5).
"""

BOOTED = "/run/systemd/system"
"""Exists where systemd is the service manager (sd_booted(3))."""

DEFAULT_SLICE = "system.slice"
_ROOT = "-.slice"
_SUFFIX = ".slice"
_LONGEST = 255  # UNIT_NAME_MAX, the zero byte not counted


def is_unit(path: str) -> bool:
    """Whether a ``cgroupsPath`` names a unit, and not a directory."""
    return ":" in path and not path.startswith("/")


def cgroups_path(slice_: str, container_id: str, prefix: str = "cove") -> str:
    return f"{slice_}:{prefix}:{container_id}"


def parse(path: str) -> tuple[str, str]:
    """The slice, and the unit below it. Raises ValueError."""
    parts = path.split(":")
    if len(parts) != 3:
        raise ValueError(f"linux.cgroupsPath: {path!r} is not of the form slice:prefix:name")
    slice_, prefix, name = parts
    unit = f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    if not name or "/" in unit or "\0" in unit or len(unit) > _LONGEST:
        raise ValueError(f"linux.cgroupsPath: {path!r} does not name a unit of systemd")
    return slice_ or DEFAULT_SLICE, unit


def control_group(path: str) -> str:
    """Where the unit is, from the root of the hierarchies. Raises ValueError."""
    slice_, unit = parse(path)
    return f"{slice_path(slice_)}/{unit}"


def slice_path(name: str) -> str:
    """``a-b.slice`` is ``/a.slice/a-b.slice``; the root slice is "". Raises ValueError."""
    if name == _ROOT:
        return ""
    words = name.removesuffix(_SUFFIX).split("-")
    if not name.endswith(_SUFFIX) or "/" in name or ":" in name or "\0" in name or not all(words):
        raise ValueError(f"{name!r} is not the name of a slice of systemd")
    return "".join(f"/{'-'.join(words[: count + 1])}{_SUFFIX}" for count in range(len(words)))
