"""The ``filters`` of list, prune and event queries: names, each with the values that are asked for."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cove.errors import InvalidArgument

_LIMIT = 64 * 1024


class Filters(Mapping[str, Sequence[str]]):
    """Filter names and their values, each list without duplicates, in the order in which they came."""

    def __init__(self, values: Mapping[str, Iterable[str]] | None = None) -> None:
        self._values = {name: tuple(dict.fromkeys(wanted)) for name, wanted in (values or {}).items()}

    @classmethod
    def parse(cls, text: str) -> "Filters":
        """Read the query parameter: ``{"name":["a"]}``, or the old ``{"name":{"a":true}}``. Empty is no filter.

        Raises InvalidArgument.
        """
        if not text:
            return cls()
        if len(text) > _LIMIT:
            raise InvalidArgument(f"invalid filter: longer than {_LIMIT} characters")
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"invalid filter: {error}") from error
        if not isinstance(parsed, dict):
            raise InvalidArgument("invalid filter: it is not an object of filter names")
        return cls({name: _chosen(name, wanted) for name, wanted in parsed.items()})

    def __getitem__(self, name: str) -> Sequence[str]:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Filters({self._values!r})"

    def check(self, accepted: Iterable[str]) -> None:
        """Raises InvalidArgument for the first filter that is not ``accepted``."""
        known = frozenset(accepted)
        for name in self._values:
            if name not in known:
                raise InvalidArgument(f"invalid filter '{name}'")

    def one_of(self, name: str, *values: str) -> bool:
        """Whether the filter is absent, or asks for any of ``values`` exactly."""
        wanted = self._values.get(name)
        return not wanted or any(value in wanted for value in values)

    def part_of(self, name: str, value: str) -> bool:
        """Whether the filter is absent, or ``value`` contains (or matches, as a regular expression) one it asks for."""
        wanted = self._values.get(name)
        return not wanted or any(_matches(pattern, value) for pattern in wanted)

    def prefix_of(self, name: str, value: str) -> bool:
        """Whether the filter is absent, or ``value`` starts with one it asks for."""
        wanted = self._values.get(name)
        return not wanted or value.startswith(tuple(wanted))

    def labels(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """Whether all that the filter asks for (``key`` or ``key=value``) is among ``labels``."""
        return all(_has_label(labels, wanted) for wanted in self._values.get(name, ()))

    def without_labels(self, labels: Mapping[str, str], name: str = "label!") -> bool:
        """Whether nothing that the filter asks for is among ``labels``, as ``prune`` has it."""
        return not any(_has_label(labels, wanted) for wanted in self._values.get(name, ()))

    def boolean(self, name: str) -> bool | None:
        """The value of a filter that is true or false; None when it is absent. Raises InvalidArgument."""
        wanted = self._values.get(name)
        if not wanted:
            return None
        if len(wanted) == 1 and wanted[0].lower() in _BOOLEANS:
            return _BOOLEANS[wanted[0].lower()]
        raise InvalidArgument(f"invalid filter '{name}=[{' '.join(wanted)}]'")

    def single(self, name: str) -> str | None:
        """The value of a filter that may be given once; None when it is absent. Raises InvalidArgument."""
        wanted = self._values.get(name)
        if not wanted:
            return None
        if len(wanted) > 1:
            raise InvalidArgument(f"more than one {name} filter specified")
        return wanted[0]


_BOOLEANS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


def _chosen(name: str, wanted: object) -> Iterable[str]:
    if isinstance(wanted, dict) and all(isinstance(on, bool) for on in wanted.values()):
        return list(wanted)  # whether true or false: Docker looks at the names only
    if isinstance(wanted, list) and all(isinstance(value, str) for value in wanted):
        return wanted
    raise InvalidArgument(f"invalid filter '{name}': neither a list of strings nor an object of true and false")


def _matches(pattern: str, value: str) -> bool:
    if pattern in value:
        return True
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return False


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
