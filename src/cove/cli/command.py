"""A command: what it is called with, what it accepts, and the function that does it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cove.cli.session import Session
    from cove.flags import Flag, Values

    Run = Callable[[Session, Values, list[str]], int]


class Arguments:
    """How many positional arguments a command takes; ``most`` None is any number."""

    __slots__ = ("least", "most")

    def __init__(self, least: int, most: int | None) -> None:
        self.least = least
        self.most = most

    def complaint(self, count: int) -> tuple[str, str] | None:
        """None when ``count`` will do, else the words for it and the word before "--help"."""
        if self.most == 0 and count:
            return "accepts no arguments", "Run"
        if self.least == self.most and count != self.least:
            return f"requires {self.least} argument{_plural(self.least)}", "Run"
        if self.most is None and count < self.least:
            return f"requires at least {self.least} argument{_plural(self.least)}", "See"
        if self.most is not None and self.least == 0 and count > self.most:
            return f"requires at most {self.most} argument{_plural(self.most)}", "Run"
        if self.most is not None and not self.least <= count <= self.most:
            return f"requires at least {self.least} and at most {self.most} arguments", "Run"
        return None


class Command:
    """A declaration. ``usage`` follows the command's path; a further line in it is a further form of the command."""

    __slots__ = ("arguments", "flags", "interspersed", "long", "run", "usage")

    def __init__(
        self,
        run: Run,
        usage: str,
        arguments: Arguments,
        flags: tuple[Flag, ...] = (),
        *,
        interspersed: bool = True,
        long: str = "",
    ) -> None:
        self.run = run
        self.usage = usage
        self.arguments = arguments
        self.flags = flags
        self.interspersed = interspersed
        self.long = long


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


NO_ARGUMENTS = Arguments(0, 0)


def at_least(count: int) -> Arguments:
    return Arguments(count, None)


def exactly(count: int) -> Arguments:
    return Arguments(count, count)
