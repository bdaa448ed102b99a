"""The unpacked layers of one data root: ``layers/<short name>``, and their rows."""

import msgspec


class Layer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``chain_id`` names it; ``directory`` is its short name below ``layers/``; ``size``: unpacked bytes."""

    chain_id: str
    diff_id: str
    directory: str
    size: int
    parent: str | None = None


class Layers: ...
