"""What a shell can complete, in a form that each script writer can print."""

from __future__ import annotations

from cove.cli.catalog import COMMANDS, GROUPS, members
from cove.cli.main import GLOBAL_FLAGS
from cove.flags import BOOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.flags import Flag

# How the names of each kind of object are listed, one a line.
LISTERS = {
    "container": "cove ps --all --format '{{.Names}}'",
    "image": "cove images --format '{{.Repository}}:{{.Tag}}'",
    "network": "cove network ls --format '{{.Name}}'",
    "volume": "cove volume ls --quiet",
}

_KINDS = (("CONTAINER", "container"), ("IMAGE", "image"), ("NETWORK", "network"), ("VOLUME", "volume"))


class Completion:
    """One command: its options (long and short, with help), those that take a value, and what its arguments name."""

    def __init__(self, path: str, flags: tuple[Flag, ...], usage: str) -> None:
        self.path = path
        self.options = [(flag.name, flag.short, _first_line(flag.help)) for flag in flags if not flag.hidden]
        self.with_value = [
            word
            for flag in flags
            if flag.kind is not BOOL
            for word in (f"--{flag.name}", *([f"-{flag.short}"] if flag.short else []))
        ]
        first = usage.replace("[OPTIONS]", "").split()
        self.names = next((kind for word, kind in _KINDS if first and word in first[0]), "")

    @property
    def words(self) -> list[str]:
        return [word for name, short, _ in self.options for word in (f"--{name}", *([f"-{short}"] if short else []))]


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def commands() -> list[Completion]:
    """Every command by each of its names, sorted."""
    found = []
    for path in sorted(COMMANDS):
        command = COMMANDS[path].load()
        found.append(Completion(path, command.flags, command.usage.partition("\n")[0]))
    return found


def top_level() -> list[tuple[str, str]]:
    """The words after ``cove``, with their summaries."""
    return sorted([*members(""), *GROUPS.items()])


def group_members() -> dict[str, list[tuple[str, str]]]:
    return {group: members(group) for group in GROUPS}


def global_options() -> Completion:
    return Completion("", GLOBAL_FLAGS, "")
