"""How a container's first process begins, beyond what its configuration says."""

from __future__ import annotations

from cove.lean import TYPE_CHECKING, Any, NamedTuple, Protocol, Sequence

if TYPE_CHECKING:
    from cove.runtime.messages import OverlayRoot


class Beginning(Protocol):
    """What a start needs to know; ``messages.StartShim`` is one."""

    @property
    def container_id(self) -> str: ...
    @property
    def run_dir(self) -> str: ...
    @property
    def root(self) -> OverlayRoot | None: ...
    @property
    def init(self) -> bool: ...
    @property
    def await_network(self) -> bool: ...
    @property
    def staged(self) -> Sequence[Sequence[Any]]: ...


class Gate(NamedTuple):
    """Two descriptors of fifos. A byte read from ``go`` lets the program begin; a failure is written to ``result``."""

    go: int
    result: int


class Manner(NamedTuple):
    """``gate``: wait there before the program. ``tied``: end with the parent. ``keyring``: have a session keyring.

    ``pivot``: pivot_root, else the root is moved over the host's. ``preserved``: how many descriptors from 3 on the
    program inherits.
    """

    gate: Gate | None = None
    tied: bool = True
    keyring: bool = True
    pivot: bool = True
    preserved: int = 0


PLAIN = Manner()
