"""Image references: what a user types, its canonical form, and the short form that is shown.

The grammar is that of the distribution project's reference package; so are the words of its errors, because people
search for them.
"""

import re
from dataclasses import dataclass, replace

from cove.digest import Digest
from cove.errors import InvalidArgument

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255
"""The most characters a repository name may have."""

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository, with at most a tag and a digest.

    ``str`` gives the canonical text (``docker.io/library/busybox:latest``).
    """

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read what a user typed: ``busybox``, ``host:5000/a/b:tag``, ``repo@sha256:…``. No tag is added.

        Raises InvalidArgument with Docker's words.
        """
        if _IDENTIFIER.fullmatch(text):
            raise InvalidArgument(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        domain, remainder = _split_domain(text)
        name = remainder.partition(":")[0]
        if name.lower() != name:
            raise InvalidArgument(f"invalid reference format: repository name ({name}) must be lowercase")
        match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
        if match is None:
            raise InvalidArgument("invalid reference format")
        if len(match["path"]) > NAME_LIMIT:
            raise InvalidArgument(f"repository name must not be more than {NAME_LIMIT} characters")
        if match["digest"]:
            Digest.parse(match["digest"])
        return cls(match["domain"], match["path"], match["tag"] or "", match["digest"] or "")

    @property
    def repository(self) -> str:
        """The canonical name without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as it is shown: without ``docker.io/`` and ``library/``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        rest = self.path.removeprefix("library/")
        return rest if "/" not in rest else self.path

    @property
    def familiar(self) -> str:
        """The whole reference as it is shown."""
        return self.familiar_name + self._suffix

    def with_default_tag(self) -> "Reference":
        """The same, with ``latest`` when it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def without_tag(self) -> "Reference":
        """The same, without its tag."""
        return replace(self, tag="")

    def without_digest(self) -> "Reference":
        """The same, without its digest."""
        return replace(self, digest="")

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.repository + self._suffix


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        domain, remainder = first, rest
    else:
        domain, remainder = DEFAULT_DOMAIN, text
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = f"library/{remainder}"
    return domain, remainder


def is_tag(text: str) -> bool:
    """Whether a repository's name may have this for a tag."""
    return re.fullmatch(_TAG, text) is not None
