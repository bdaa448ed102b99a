"""Which packages are needed for some to work, and in what order they come."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from cove.errors import InvalidArgument, NotFound
from cove.images.bootstrap.index import Candidate
from cove.images.bootstrap.relations import Group, Relation

_PRIORITIES = ("required", "important", "standard", "optional", "extra")


class Offers(Protocol):
    """An index. ``versions``: of a package, the newest first. ``providers``: of a name, by name."""

    def versions(self, name: str) -> list[Candidate]: ...

    def providers(self, name: str) -> list[Candidate]: ...


Ignored = Callable[[Candidate, Relation], bool]
"""Which relations of a package count as met, whatever is there."""


def wanted(index: Offers, words: Iterable[str]) -> list[Candidate]:
    """The packages that a user names: ``NAME`` or ``NAME=VERSION``, or a name that a package provides.

    Raises NotFound with all that are not there.
    """
    found: list[Candidate] = []
    missing: list[str] = []
    for word in words:
        name, equals, version = word.partition("=")
        fitting = [each for each in index.versions(name) if not equals or str(each.package.version) == version]
        fitting = fitting or ([] if equals else index.providers(name))
        (found.append(fitting[0]) if fitting else missing.append(word))
    if missing:
        raise NotFound(f"there is no package {', '.join(missing)}")
    return found


def resolve(
    index: Offers, roots: Sequence[Candidate], ignored: Ignored = lambda candidate, relation: False
) -> list[Candidate]:
    """The roots and all that they need, those first that others need.

    A group is met by what is taken already, else by its first alternative that can be had, else by a package that
    provides one. Raises InvalidArgument: a need that nothing meets, or two packages that exclude each other.
    """
    selection = _Selection()
    for root in roots:
        selection.take(root)
    waiting = deque(selection.taken.values())
    while waiting:
        candidate = waiting.popleft()
        for group in candidate.depends:
            if not any(ignored(candidate, each) for each in group) and not selection.meets(group):
                chosen = _chosen(index, group, candidate, selection)
                selection.take(chosen)
                waiting.append(chosen)
    return selection.ordered()


def _chosen(index: Offers, group: Group, needed_by: Candidate, selection: "_Selection") -> Candidate:
    for relation in group:
        fitting = [each for each in index.versions(relation.name) if each.meets(relation)]
        providers = [each for each in index.providers(relation.name) if each.meets(relation)]
        for candidate in [*fitting, *sorted(providers, key=_rank)]:
            if candidate.name not in selection.taken and selection.excludes(candidate) is None:
                return candidate
    words = " | ".join(map(str, group))
    raise InvalidArgument(f"{needed_by.package} needs {words}, which is not to be had")


def _rank(candidate: Candidate) -> tuple[int, str]:
    """Of packages that provide the same, the one that more systems have, then by name."""
    priority = candidate.fields.get("priority", "")
    return _PRIORITIES.index(priority) if priority in _PRIORITIES else len(_PRIORITIES), candidate.name


class _Selection:
    """The packages that are taken, by name, by what they are also called, and by what they exclude."""

    def __init__(self) -> None:
        self.taken: dict[str, Candidate] = {}
        self._called: defaultdict[str, list[Candidate]] = defaultdict(list)
        self._excluded: defaultdict[str, list[tuple[Candidate, Relation]]] = defaultdict(list)

    def take(self, candidate: Candidate) -> None:
        """Raises InvalidArgument when it excludes one that is taken, or that excludes it."""
        if self.taken.get(candidate.name) is candidate:
            return
        other = self.taken.get(candidate.name) or self.excludes(candidate)
        if other is not None:
            raise InvalidArgument(f"{candidate.package} and {other.package} exclude each other")
        self.taken[candidate.name] = candidate
        for name in _names(candidate):
            self._called[name].append(candidate)
        for relation in _relations(candidate.conflicts):
            self._excluded[relation.name].append((candidate, relation))

    def meets(self, group: Group) -> bool:
        return any(each.meets(relation) for relation in group for each in self._called.get(relation.name, ()))

    def excludes(self, candidate: Candidate) -> Candidate | None:
        """One that is taken and cannot be together with this one."""
        for relation in _relations(candidate.conflicts):
            for other in self._called.get(relation.name, ()):
                if other.name != candidate.name and other.meets(relation):
                    return other
        for name in _names(candidate):
            for other, relation in self._excluded.get(name, ()):
                if other.name != candidate.name and candidate.meets(relation):
                    return other
        return None

    def ordered(self) -> list[Candidate]:
        """Needs before what needs them, else by name; a circle is broken where it was entered."""
        done: list[Candidate] = []
        entered: set[str] = set()
        stack: list[tuple[Candidate, deque[Candidate]]] = []

        def enter(candidate: Candidate) -> None:
            if candidate.name not in entered:
                entered.add(candidate.name)
                stack.append((candidate, deque(self._needs(candidate))))

        for name in sorted(self.taken):
            enter(self.taken[name])
            while stack:
                needs = stack[-1][1]
                if needs:
                    enter(needs.popleft())
                else:
                    done.append(stack.pop()[0])
        return done

    def _needs(self, candidate: Candidate) -> list[Candidate]:
        return [
            each
            for relation in _relations(candidate.depends)
            for each in self._called.get(relation.name, ())
            if each.meets(relation)
        ]


def _names(candidate: Candidate) -> set[str]:
    return {candidate.name, *(relation.name for relation in candidate.provides)}


def _relations(groups: Iterable[Group]) -> Iterable[Relation]:
    return (relation for group in groups for relation in group)
