"""Resource limits of a process, by the runtime specification's names (getrlimit(2))."""

import resource

NAMES = {name: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
_UNLIMITED = (1 << 63) - 1


def set_limit(name: str, soft: int, hard: int) -> None:
    """Set a limit such as RLIMIT_NOFILE. -1 and what does not fit into 63 bits mean unlimited.

    Raises ValueError for an unknown name or a soft limit above the hard one.
    """
    kind = NAMES.get(name)
    if kind is None:
        raise ValueError(f"unknown rlimit {name!r}")
    try:
        resource.setrlimit(kind, (_bounded(soft), _bounded(hard)))
    except ValueError as error:  # how Python words EPERM and EINVAL
        raise ValueError(f"error setting rlimit {name} to {soft}:{hard}: {error}") from None


def raise_hard_limit(name: str, hard: int) -> None:
    """Have a limit's hard value be no lower than ``hard``; the soft one stays. Raises ValueError."""
    kind = NAMES.get(name)
    if kind is None:
        raise ValueError(f"unknown rlimit {name!r}")
    soft, former = resource.getrlimit(kind)
    wanted = _bounded(hard)
    if former != resource.RLIM_INFINITY and (wanted == resource.RLIM_INFINITY or wanted > former):
        set_limit(name, soft, hard)


def _bounded(value: int) -> int:
    return resource.RLIM_INFINITY if value < 0 or value >= _UNLIMITED else value
