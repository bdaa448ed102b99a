"""One call of the command: its global flags, and the words after the command's name."""

from cove.lean import Any, NamedTuple
from cove.runtime.command.arguments import Flag, parse
from cove.runtime.command.journal import Journal


class Call(NamedTuple):
    """``root``: the directory of what is kept. ``systemd``: control groups are units of systemd."""

    name: str
    root: str
    journal: Journal
    words: list[str]
    systemd: bool = False

    def parse(self, flags: tuple[Flag, ...]) -> tuple[dict[str, Any], list[str]]:
        """The flags of this command and its arguments. Raises Refused."""
        return parse(flags, self.words)
