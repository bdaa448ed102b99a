"""Git repositories as build contexts and sources of ADD: ``https://host/repo.git#ref:directory`` and its relatives.

What is parsed here is run with the program ``git``, so whatever might pass for an option of it, or name a protocol that
reaches local files or programs, is refused.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from cove.dockerfile.ignore import cleaned
from cove.dockerfile.text import boolean, quoted
from cove.errors import InvalidArgument

PROTOCOLS = ("http", "https", "ssh", "git")
_SCHEME = re.compile(r"[a-zA-Z0-9]+://")
_SCP = re.compile(
    r"([a-zA-Z0-9_][a-zA-Z0-9_-]*)@([a-zA-Z0-9.][a-zA-Z0-9.-]*):([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
_REF = re.compile(r"[^\x00-\x20\x7f ~^:?*\[\\-][^\x00-\x20\x7f ~^:?*\[\\]*")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_FLAGS = ("submodules", "keep-git-dir", "fetch-by-commit")
_QUERIES = ("ref", "tag", "branch", "subdir", "checksum", "commit", "mtime", *_FLAGS)


@dataclass(frozen=True, slots=True)
class GitSource:
    """A repository, and what of it is wanted."""

    remote: str
    """What ``git fetch`` is given."""
    ref: str = ""
    """A branch, tag or commit; nothing is the default branch."""
    directory: str = ""
    """Below the top of the repository, cleaned, without a slash before it."""
    checksum: str = ""
    """The commit that it has to be, or the first digits of it."""
    keep_git_dir: bool | None = None
    submodules: bool = True
    fetch_by_commit: bool = False

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.remote.rsplit("/", 1)[-1].rsplit(":", 1)[-1].removesuffix(".git")

    @property
    def pins(self) -> bool:
        """Whether it says which commit it has to be, with all digits."""
        return any(len(digits) in (40, 64) and _COMMIT.fullmatch(digits) for digits in (self.checksum, self.ref))

    def with_flags(self, checksum: str, *, keep_git_dir: bool) -> "GitSource":
        """The same with what the flags of ADD say. Raises InvalidArgument where the address says something else."""
        if self.checksum and checksum and self.checksum != checksum:
            raise InvalidArgument(f"checksum mismatch {quoted(checksum)} != {quoted(self.checksum)}")
        if checksum and not _COMMIT.fullmatch(checksum):
            raise InvalidArgument(f"invalid checksum {quoted(checksum)}: expected the digits of a commit")
        return replace(self, checksum=checksum or self.checksum, keep_git_dir=self.keep_git_dir or keep_git_dir)


def is_git(text: str) -> bool:
    """Whether a source of ADD is a git repository, be what else it says right or wrong."""
    return not text.startswith(("./", "../")) and _located(text) is not None


def parse_git(text: str, *, local_looking: bool = False) -> GitSource:
    """Read a repository's address; ``local_looking`` takes ``github.com/…`` too, as for contexts.

    Raises InvalidArgument for one that is no repository or has something wrong in it.
    """
    github = local_looking and text.startswith("github.com/")
    located = _located("https://" + text, github=True) if github else _located(text)
    if located is None:
        raise InvalidArgument(f"{quoted(text)} is not a git repository")
    remote, query, fragment = located
    ref, _, directory = fragment.partition(":")
    source = _with_query(GitSource(remote, ref, cleaned("/" + directory)[1:]), query)
    if source.ref and (not _REF.fullmatch(source.ref) or ".." in source.ref or source.ref.endswith((".lock", "/"))):
        raise InvalidArgument(f"invalid git reference {quoted(source.ref)}")
    if source.checksum and not _COMMIT.fullmatch(source.checksum):
        raise InvalidArgument(f"invalid checksum {quoted(source.checksum)}: expected the digits of a commit")
    return source


def _located(text: str, *, github: bool = False) -> tuple[str, str, str] | None:
    """Remote, query and fragment; ``github`` is an address whose path need not end in ``.git``."""
    if _SCHEME.match(text):
        return _from_url(text, github)
    match = _SCP.fullmatch(text)
    return (f"{match[1]}@{match[2]}:{match[3]}", match[4] or "", match[5] or "") if match else None


def _from_url(text: str, github: bool) -> tuple[str, str, str] | None:
    try:
        url: SplitResult = urlsplit(text)
        host = url.hostname or ""
    except ValueError:
        return None
    scheme = url.scheme.lower()
    if scheme not in PROTOCOLS or host.startswith("-") or url.netloc.startswith("-") or not host:
        return None
    if scheme in ("http", "https") and not url.path.endswith(".git") and not github:
        return None
    return urlunsplit((scheme, url.netloc, url.path, "", "")), url.query, url.fragment


def _with_query(source: GitSource, query: str) -> GitSource:
    values: dict[str, str] = {}
    for name, given in parse_qs(query, keep_blank_values=True, max_num_fields=32).items():
        if len(given) > 1:
            raise InvalidArgument(f"query {quoted(name)} has multiple values")
        if name not in _QUERIES:
            raise InvalidArgument(f"unexpected query {quoted(name)}")
        if not given[0] and name not in _FLAGS:
            raise InvalidArgument(f"query {quoted(name)} has no value")
        values[name] = given[0]
    return replace(
        source,
        ref=_ref(source.ref, values),
        directory=_agreed("subdir", source.directory, cleaned("/" + values.get("subdir", ""))[1:]),
        checksum=values.get("checksum", values.get("commit", source.checksum)),
        keep_git_dir=_flag(values, "keep-git-dir"),
        submodules=_flag(values, "submodules") is not False,
        fetch_by_commit=_flag(values, "fetch-by-commit") is True,
    )


def _ref(ref: str, values: dict[str, str]) -> str:
    if "mtime" in values and values["mtime"] not in ("checkout", "commit"):
        raise InvalidArgument(f'invalid mtime value: {quoted(values["mtime"])} (must be "checkout" or "commit")')
    if "tag" in values and "branch" in values:
        raise InvalidArgument("branch conflicts with tag")
    ref = _agreed("ref", ref, values.get("ref", ""))
    for name, prefix in (("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if name in values:
            ref = _agreed("ref", ref, prefix + values[name].removeprefix(prefix))
    return ref


def _agreed(name: str, one: str, other: str) -> str:
    if one and other and one != other:
        raise InvalidArgument(f"{name} conflicts: {quoted(one)} vs {quoted(other)}")
    return one or other


def _flag(values: dict[str, str], name: str) -> bool | None:
    if name not in values:
        return None
    flag = boolean(values[name]) if values[name] else True
    if flag is None:
        raise InvalidArgument(f"invalid {name} value: {quoted(values[name])}")
    return flag
