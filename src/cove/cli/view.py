"""What a formatter knows of one kind of thing: its fields, their titles, and the columns of its table."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Getter = Callable[[Any], Any]


class View:
    """``fields`` maps a name to its column title and getter. A title of "" keeps a field out of tables and JSON.

    ``kind`` is the Go type that error messages name. ``ours``: fields that Docker does not have, and its JSON neither.
    """

    __slots__ = ("columns", "fields", "kind", "ours")

    def __init__(
        self, kind: str, columns: Sequence[str], fields: dict[str, tuple[str, Getter]], ours: Sequence[str] = ()
    ) -> None:
        self.kind = kind
        self.columns = columns
        self.fields = fields
        self.ours = ours

    def row(self, item: Any, columns: Sequence[str]) -> str:
        return "\t".join(str(self.fields[name][1](item)) for name in columns)

    def titles(self, columns: Sequence[str]) -> str:
        return "\t".join(self.fields[name][0] for name in columns)

    def as_json(self, item: Any) -> dict[str, Any]:
        shown = ((name, get) for name, (title, get) in sorted(self.fields.items()) if title and name not in self.ours)
        return {name: get(item) for name, get in shown}
