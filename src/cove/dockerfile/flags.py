"""The flags between an instruction's keyword and its arguments."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.spelling import suggestion


@dataclass(slots=True)
class Flags:
    """The flags of one statement by kind. ``read`` fills it."""

    texts: dict[str, str] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        return self.texts.get(name, default)

    def switch(self, name: str) -> bool:
        return self.switches.get(name, False)

    def listed(self, name: str) -> tuple[str, ...]:
        return tuple(self.lists.get(name, ()))


@dataclass(frozen=True, slots=True)
class FlagSet:
    """The names of the flags that an instruction takes."""

    texts: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    def read(self, words: tuple[str, ...]) -> Flags:
        """Sort the words out. Raises DockerfileError for what is unknown, repeated or has no value."""
        flags, seen = Flags(), set[str]()
        for word in words:
            shown, sign, value = word.partition("=")
            name = shown[2:]
            take = self._taker(flags, name)
            if take is None:
                names = (*self.texts, *self.switches, *self.lists)
                raise DockerfileError(f"unknown flag: {shown}" + suggestion(name, names), culprit=shown)
            if name in seen and name not in self.lists:
                raise DockerfileError(f"duplicate flag specified: {shown}", culprit=shown)
            if not value and (sign if name in self.switches else not sign):
                raise DockerfileError(f"missing a value on flag: {shown}", culprit=shown)
            seen.add(name)
            take(shown, value)
        return flags

    def _taker(self, flags: Flags, name: str) -> Callable[[str, str], None] | None:
        if name in self.texts:
            return lambda _shown, value: flags.texts.__setitem__(name, value)
        if name in self.switches:
            return lambda shown, value: flags.switches.__setitem__(name, _switch(shown, value))
        if name in self.lists:
            return lambda _shown, value: flags.lists.setdefault(name, []).append(value)
        return None


NONE = FlagSet()
"""The flags of an instruction that has none."""


def _switch(shown: str, value: str) -> bool:
    if value.lower() not in ("", "true", "false"):
        raise DockerfileError(f"expecting boolean value for flag {shown}, not: {value}", culprit=value)
    return value.lower() != "false"
