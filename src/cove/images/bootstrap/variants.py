"""What is made of a distribution's packages: a root that dpkg installed, or the files of a few packages alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cove.errors import InvalidArgument, NotFound
from cove.images.bootstrap import distroless, installed
from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.index import Candidate, Index
from cove.images.bootstrap.relations import Relation
from cove.images.bootstrap.resolve import resolve, wanted
from cove.images.bootstrap.tree import Tree
from cove.oci.image import Config


class Finish(NamedTuple):
    """What is to be run in the root, and what of it stays. ``log``: a path in the root."""

    argv: list[str]
    environment: list[str]
    log: str
    keep: Callable[[str], bool]
    complete: Callable[[Tree], None]


@dataclass(frozen=True)
class Variant:
    """``choose(index, what the user includes)``: the packages, in order. ``lay_out(tree, debs, sources)``.

    ``finish``: None when nothing is run. ``config(tree, labels)``.
    """

    choose: Callable[[Index, Sequence[str]], list[Candidate]]
    lay_out: Callable[[Tree, Mapping[str, Deb], Sequence[Source]], None]
    finish: Callable[[Tree, Sequence[Candidate]], Finish] | None
    config: Callable[[Tree, dict[str, str]], Config]


_ALSO = ("apt", "usr-is-merged")
"""What a minimal root has beside what is required. The latter says that the directories below / are links already."""


def _minimal(index: Index, include: Sequence[str]) -> list[Candidate]:
    base = index.required()
    if not base:
        raise NotFound("the mirror has no essential packages: is this a whole archive?")
    also = [found for name in _ALSO if (found := index.find(name))]
    return resolve(index, [*base, *also, *wanted(index, include)])


def _few(index: Index, include: Sequence[str]) -> list[Candidate]:
    """Without what only the scripts of packages need, as none is run."""
    named = wanted(index, include or distroless.PACKAGES)
    names = {candidate.name for candidate in named}

    def ignored(candidate: Candidate, relation: Relation) -> bool:
        if relation.name in names:
            return False
        found = index.find(relation.name)
        for_scripts = distroless.FOR_SCRIPTS | distroless.FOR_SCRIPTS_OF.get(candidate.name, frozenset())
        return relation.name in for_scripts or (found is not None and found.essential)

    return resolve(index, named, ignored)


def _installed(slim: bool) -> Variant:
    return Variant(
        _minimal,
        lambda tree, debs, sources: installed.lay_out(tree, debs, sources, slim=slim),
        lambda tree, packages: Finish(
            installed.argv(packages),
            installed.environment(tree.newest),
            installed.LOG,
            lambda path: installed.stays(path, slim=slim),
            installed.complete,
        ),
        installed.config,
    )


VARIANTS: dict[str, Variant] = {
    "minbase": _installed(slim=False),
    "slim": _installed(slim=True),
    "distroless": Variant(_few, distroless.lay_out, None, distroless.config),
}
DEFAULT = "minbase"


def variant(name: str) -> Variant:
    """Raises InvalidArgument for a name that is none."""
    if name not in VARIANTS:
        raise InvalidArgument(f'unknown variant "{name}" (there is: {", ".join(VARIANTS)})')
    return VARIANTS[name]
