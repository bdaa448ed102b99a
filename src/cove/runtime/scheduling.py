"""How the program is scheduled on processors and disks, and its execution domain, by the configuration's names."""

import os

from cove.kernel import scheduling
from cove.oci.runtime import Personality, Process, Scheduler


def apply(process: Process) -> None:
    """Give this process what ``process`` asks for. Raises ValueError naming the field, OSError."""
    if scheduler := process.get("scheduler"):
        _set_policy(scheduler)
    if wanted := process.get("ioPriority"):
        kind = scheduling.IO_CLASSES.get(str(wanted.get("class")))
        if kind is None:
            raise ValueError(f"process.ioPriority.class: {wanted.get('class')!r} is no class")
        scheduling.set_io_priority(kind, wanted.get("priority", 0))


def _set_policy(wanted: Scheduler) -> None:
    policy = scheduling.POLICIES.get(wanted["policy"])
    if policy is None:
        raise ValueError(f"process.scheduler.policy: {wanted['policy']!r} is no policy")
    flags = 0
    for name in wanted.get("flags") or []:
        if name not in scheduling.FLAGS:
            raise ValueError(f"process.scheduler.flags: {name!r} is no flag")
        flags |= scheduling.FLAGS[name]
    times = (wanted.get("runtime", 0), wanted.get("deadline", 0), wanted.get("period", 0))
    scheduling.set_policy(policy, flags, wanted.get("nice", 0), wanted.get("priority", 0), times)


def set_personality(wanted: Personality) -> None:
    """Raises ValueError for a domain or flags that there are not."""
    domain = scheduling.DOMAINS.get(wanted["domain"])
    if domain is None:
        raise ValueError(f"linux.personality.domain: {wanted['domain']!r} is no domain")
    if wanted.get("flags"):
        raise ValueError("linux.personality.flags: no flags are supported")
    scheduling.set_personality(domain)


def set_affinity(field: str, words: str | None) -> None:
    """Keep this process to the processors of a list such as ``0-3,7``. Raises ValueError naming the field, OSError."""
    if words:
        os.sched_setaffinity(0, parse_processors(field, words))


def parse_processors(field: str, words: str) -> set[int]:
    """The numbers of a list such as ``0-3,7``."""
    found: set[int] = set()
    for part in words.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or int(last or first) > 1 << 16:
            raise ValueError(f"{field}: {words!r} is no list of processors")
        found.update(range(int(first), int(last or first) + 1))
    return found
