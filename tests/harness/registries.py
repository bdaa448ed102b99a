"""Both registries beside an engine, ours and Debian's: what holds for one has to hold for the other."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Literal, Protocol

from harness.debian_registry import debian_registry
from harness.engine import Engine
from harness.registry import Registry as CoveRegistry

Kind = Literal["debian", "cove"]
KINDS: tuple[Kind, ...] = ("debian", "cove")


class Served(Protocol):
    """``host``: its address in the engine's network namespace."""

    host: str


@contextlib.contextmanager
def served(engine: Engine, kind: Kind) -> Iterator[Served]:
    """A registry with nothing in it, until the end of the context."""
    if kind == "debian":
        with debian_registry(engine) as debian:
            yield debian
        shutil.rmtree(debian.root)
        return
    root = engine.base / "cove-registry"
    with CoveRegistry(root, engine=engine) as ours:
        yield ours
    shutil.rmtree(root)
    ours.log.unlink()
