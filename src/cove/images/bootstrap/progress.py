"""What a person sees while a base image is made."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One line of progress. ``id``: what it is about (a file, a package), or "".

    ``current`` of ``total``: bytes; ``total`` is 0 when there is nothing to measure.
    """

    status: str
    id: str = ""
    current: int = 0
    total: int = 0


Report = Callable[[Progress], None]
