"""Which packages a system needs: relations, provided names, alternatives, conflicts, order."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cove.errors import InvalidArgument, NotFound
from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.index import Index
from cove.images.bootstrap.provenance import parse_pins
from cove.images.bootstrap.relations import parse_groups
from cove.images.bootstrap.release import Release
from cove.images.bootstrap.resolve import resolve, wanted
from cove.images.bootstrap.version import Version

PACKAGES = """
app 1: Depends: lib (>= 2), editor, libc6 (>= 2.3)
lib 1:
lib 3: Pre-Depends: libc6:any
libc6 2.36: Essential: yes
vim 9: Provides: editor; Priority: optional
nano 7: Provides: editor; Priority: important
picky 1: Depends: old (<< 2) | lib (= 3)
old 5:
wants-version 1: Depends: thing (>= 2)
gives-thing 1: Provides: thing
gives-thing-2 1: Provides: thing (= 2.5)
enemy 1: Conflicts: nano
chicken 1: Depends: egg
egg 1: Depends: chicken
broken 1: Depends: nowhere | neither (>= 1)
breaker 1: Breaks: lib (<< 4)
"""


def stanza(line: str) -> str:
    head, _, fields = line.partition(":")
    name, version = head.split()
    more = "".join(f"{field.strip()}\n" for field in fields.split(";") if field.strip())
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: pool/{name}.deb\nSize: 1\n"
        f"SHA256: {'0' * 64}\n{more}"
    )


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    release = Release(Source("file:/x", "s", ("main",)), datetime.now(UTC), None, {}, False, False)
    (tmp_path / "Packages").write_text("\n".join(map(stanza, PACKAGES.strip().splitlines())))
    with (tmp_path / "spool").open("w+b") as spool:
        made = Index(spool, "amd64")
        made.add(release, tmp_path / "Packages", "index")
        yield made


def names(index: Index, *words: str) -> list[str]:
    return [candidate.name for candidate in resolve(index, wanted(index, words))]


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("a (>= 2)", "2", "1.9"),
        ("a (<< 2)", "2~rc1", "2"),
        ("a (= 1:1)", "1:1", "1"),
        ("a:any (<= 2) [amd64] <!nocheck>", "2", "2.1"),
        ("a (>> 2)", "2.1", "2"),
        ("a", "0", None),
    ],
)
def test_relations(text: str, allowed: str, refused: str | None) -> None:
    ((relation,),) = parse_groups(text)
    assert relation.name == "a" and relation.allows(Version(allowed))
    assert refused is None or not relation.allows(Version(refused))
    assert relation.allows(None) is (not relation.operator)


def test_a_relation_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="not a relation"):
        parse_groups("a (>> 1")


def test_the_newest_version_and_the_preferred_provider(index: Index) -> None:
    assert names(index, "app") == ["libc6", "lib", "nano", "app"]


def test_what_is_asked_for_meets_a_provided_name(index: Index) -> None:
    assert names(index, "vim", "app") == ["libc6", "lib", "vim", "app"]


def test_a_later_alternative_where_the_first_does_not_fit(index: Index) -> None:
    assert names(index, "picky") == ["libc6", "lib", "picky"]


def test_a_version_of_a_provided_name(index: Index) -> None:
    assert names(index, "wants-version") == ["gives-thing-2", "wants-version"]


def test_what_is_excluded_is_not_chosen(index: Index) -> None:
    assert "vim" in names(index, "enemy", "app")
    with pytest.raises(InvalidArgument, match="exclude each other"):
        names(index, "enemy", "nano")
    with pytest.raises(InvalidArgument, match=r"not to be had|exclude each other"):
        names(index, "breaker", "app")


def test_a_circle(index: Index) -> None:
    assert sorted(names(index, "chicken")) == ["chicken", "egg"]


def test_what_cannot_be_had(index: Index) -> None:
    with pytest.raises(InvalidArgument, match=r"broken 1 needs nowhere \| neither \(>= 1\)"):
        names(index, "broken")
    with pytest.raises(NotFound, match="there is no package x, y=2"):
        names(index, "app", "x", "y=2")


def test_a_version_by_name(index: Index) -> None:
    assert [str(each.package) for each in wanted(index, ["lib=1", "lib"])] == ["lib 1", "lib 3"]


def test_what_every_system_has(index: Index) -> None:
    assert [candidate.name for candidate in index.required()] == ["libc6"]


def test_pins() -> None:
    assert parse_pins("a=2026-07-11T10:16:37Z b=2026-07-11T10:16:38Z").keys() == {"a", "b"}
    with pytest.raises(InvalidArgument, match='invalid snapshot "a=yesterday"'):
        parse_pins("a=yesterday")
