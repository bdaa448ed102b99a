"""The options of a mount as the runtime configuration spells them (mount(8)); pure."""

from cove.kernel import mounts
from cove.lean import NamedTuple

_SET = {
    "ro": mounts.READ_ONLY,
    "nosuid": mounts.NO_SETUID,
    "nodev": mounts.NO_DEVICES,
    "noexec": mounts.NO_EXECUTE,
    "nodiratime": mounts.NO_DIRECTORY_ACCESS_TIME,
    "nosymfollow": mounts.NO_SYMLINK_FOLLOW,
}
_CLEARED = {
    "rw": mounts.READ_ONLY,
    "suid": mounts.NO_SETUID,
    "dev": mounts.NO_DEVICES,
    "exec": mounts.NO_EXECUTE,
    "diratime": mounts.NO_DIRECTORY_ACCESS_TIME,
    "symfollow": mounts.NO_SYMLINK_FOLLOW,
}
_ACCESS_TIMES = {
    "noatime": mounts.NO_ACCESS_TIME,
    "strictatime": mounts.STRICT_ACCESS_TIME,
    "relatime": 0,
    "atime": 0,
    "norelatime": 0,
    "nostrictatime": 0,
}
_PROPAGATION = {
    "private": mounts.PRIVATE,
    "slave": mounts.SLAVE,
    "shared": mounts.SHARED,
    "unbindable": mounts.UNBINDABLE,
}
_FLAGS = ("dirsync", "lazytime", "nolazytime", "sync")
"""Of file systems, which are told them."""

_IGNORED = frozenset(
    {
        "defaults",
        "async",
        "newinstance",
        "copy",
        "nocopy",
        "z",
        "Z",
        "loud",
        "silent",
        "nomand",
        "noiversion",
        "remount",
        "idmap",
        "ridmap",
        "tmpcopyup",
    }
)


class Options(NamedTuple):
    """``set``, ``clear``: attributes of the mount; ``recursive_set``: of all mounts below it as well.

    ``propagation`` is 0 when none is asked for. ``parameters``: what the file system itself is told, in order.
    ``recursive_clear``: attributes that no mount below may have. ``mapped``: "idmap", "ridmap" (with the mounts below
    it) or "". ``copy_up``: a tmpfs begins with what is at its place.
    """

    bind: bool
    recursive: bool
    set: int
    clear: int
    recursive_set: int
    propagation: int
    recursive_propagation: bool
    parameters: tuple[tuple[str, str | None], ...]
    recursive_clear: int = 0
    mapped: str = ""
    copy_up: bool = False


def parse(words: list[str]) -> Options:
    """Sort the options of a mount by who they are for. Later ones win."""
    attributes = clear = recursive_set = recursive_clear = propagation = 0
    bind = recursive = recursive_propagation = False
    parameters: list[tuple[str, str | None]] = []
    for word in words:
        if word in ("bind", "rbind"):
            bind, recursive = True, word == "rbind"
        elif word in _SET:
            attributes |= _SET[word]
        elif word in _CLEARED:
            attributes &= ~_CLEARED[word]
        elif word in _ACCESS_TIMES:
            attributes = attributes & ~mounts.ACCESS_TIMES | _ACCESS_TIMES[word]
            clear = mounts.ACCESS_TIMES
        elif word.removeprefix("r") in _PROPAGATION:
            propagation, recursive_propagation = _PROPAGATION[word.removeprefix("r")], word.startswith("r")
        elif word.startswith("r") and word[1:] in _SET:
            recursive_set |= _SET[word[1:]]
            recursive_clear &= ~_SET[word[1:]]
        elif word.startswith("r") and word[1:] in _CLEARED:
            recursive_clear |= _CLEARED[word[1:]]
            recursive_set &= ~_CLEARED[word[1:]]
        elif word.startswith("r") and word[1:] in _ACCESS_TIMES:
            recursive_set = recursive_set & ~mounts.ACCESS_TIMES | _ACCESS_TIMES[word[1:]]
            recursive_clear |= mounts.ACCESS_TIMES
        elif word not in _IGNORED:
            key, equals, value = word.partition("=")
            parameters.append((key, value if equals else None))
    return Options(
        bind=bind,
        recursive=recursive,
        set=attributes,
        clear=clear,
        recursive_set=recursive_set,
        propagation=propagation,
        recursive_propagation=recursive_propagation,
        parameters=tuple(parameters),
        recursive_clear=recursive_clear,
        mapped="ridmap" if "ridmap" in words else "idmap" if "idmap" in words else "",
        copy_up="tmpcopyup" in words,
    )


def propagation_of(word: str) -> tuple[int, bool]:
    """Of ``linux.rootfsPropagation``: the propagation, and whether for all mounts below. Raises ValueError."""
    kind = word.removeprefix("r")
    if kind not in _PROPAGATION:
        raise ValueError(f"linux.rootfsPropagation: {word!r} is no propagation")
    return _PROPAGATION[kind], word.startswith("r")


def names() -> list[str]:
    """Every option that is understood by itself; what is left goes to the file system."""
    recursive = [f"r{word}" for word in (*_SET, *_CLEARED, *_ACCESS_TIMES, *_PROPAGATION)]
    return sorted({"bind", "rbind", *_SET, *_CLEARED, *_ACCESS_TIMES, *_PROPAGATION, *recursive, *_IGNORED, *_FLAGS})
