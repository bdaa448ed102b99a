"""Addresses of git repositories."""

import pytest

from cove.dockerfile.git import GitSource, is_git, parse_git
from cove.errors import InvalidArgument

COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://host/a/b.git", GitSource("https://host/a/b.git")),
        ("https://host/a/b.git#main", GitSource("https://host/a/b.git", "main")),
        ("https://host/a/b.git#main:sub/dir/", GitSource("https://host/a/b.git", "main", "sub/dir")),
        ("https://host/a/b.git#:../../etc", GitSource("https://host/a/b.git", "", "etc")),
        ("http://u:p@host:8080/b.git#v1", GitSource("http://u:p@host:8080/b.git", "v1")),
        ("git@host:a/b.git#x", GitSource("git@host:a/b.git", "x")),
        ("me@host.name:b?ref=x", GitSource("me@host.name:b", "x")),
        ("ssh://git@host/b", GitSource("ssh://git@host/b")),
        ("git://host/b.git", GitSource("git://host/b.git")),
        ("https://host/b.git?branch=x", GitSource("https://host/b.git", "refs/heads/x")),
        ("https://host/b.git?tag=v1&subdir=d", GitSource("https://host/b.git", "refs/tags/v1", "d")),
        ("https://host/b.git?ref=x&commit=" + COMMIT, GitSource("https://host/b.git", "x", "", COMMIT)),
        ("https://host/b.git?keep-git-dir=1&submodules=false", GitSource(
            "https://host/b.git", keep_git_dir=True, submodules=False)),
        ("https://host/b.git?fetch-by-commit", GitSource("https://host/b.git", fetch_by_commit=True)),
    ],
)  # fmt: skip
def test_a_repository_is_read(text: str, expected: GitSource) -> None:
    assert is_git(text)
    assert parse_git(text) == expected


def test_a_repository_of_github_may_look_like_a_path_where_it_is_a_context() -> None:
    assert parse_git("github.com/a/b#c", local_looking=True) == GitSource("https://github.com/a/b", "c")
    assert not is_git("github.com/a/b")


@pytest.mark.parametrize(
    "text",
    ["a", "./git@host:b", "../x.git", "https://host/a.tar", "file:///x.git", "ext::sh -c x", "-u@host:b", "/a/b.git"],
)
def test_what_is_no_repository_is_none(text: str) -> None:
    assert not is_git(text)
    with pytest.raises(InvalidArgument, match="not a git repository"):
        parse_git(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://host/b.git#--upload-pack=x", "invalid git reference"),
        ("https://host/b.git#-x", "invalid git reference"),
        ("https://host/b.git#a..b", "invalid git reference"),
        ("https://host/b.git?ref=a:b", "invalid git reference"),
        ("https://host/b.git?ref=a&ref=b", 'query "ref" has multiple values'),
        ("https://host/b.git?nothing=1", 'unexpected query "nothing"'),
        ("https://host/b.git?ref=", 'query "ref" has no value'),
        ("https://host/b.git?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("https://host/b.git?tag=a&branch=b", "branch conflicts with tag"),
        ("https://host/b.git?submodules=x", 'invalid submodules value: "x"'),
        ("https://host/b.git?mtime=x", "invalid mtime value"),
        ("https://host/b.git?checksum=zz", "invalid checksum"),
    ],
)
def test_what_is_wrong_with_a_repository_is_said(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse_git(text)


@pytest.mark.parametrize(
    "text", ["https://-oProxyCommand=x/b.git", "ssh://-oProxyCommand=x/b", "git@-oProxyCommand=x:b"]
)
def test_nothing_that_might_be_an_option_is_a_host(text: str) -> None:
    assert not is_git(text)
