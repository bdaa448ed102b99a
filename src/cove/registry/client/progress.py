"""What is told while images move."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Step(NamedTuple):
    """One message. ``id``: what it is about. ``current`` and ``total`` in bytes; None where there is no bar.

    ``aux``: what a client reads rather than its user.
    """

    status: str = ""
    id: str = ""
    current: int | None = None
    total: int = 0
    aux: dict[str, Any] | None = None


Tell = Callable[[Step], None]
