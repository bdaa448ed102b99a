"""The parts of an image's name that the command line needs; the daemon judges the rest."""

from __future__ import annotations

from cove.cli.failure import Failure


def repository_and_tag(name: str) -> tuple[str, str]:
    """``host:5000/app:1.2`` → ``("host:5000/app", "1.2")``; the tag may be empty. Raises Failure."""
    if "@" in name:
        raise Failure("refusing to create a tag with a digest reference")
    if not name or name != name.strip() or any(char.isspace() for char in name):
        raise Failure(f'Error parsing reference: "{name}" is not a valid repository/tag: invalid reference format')
    head, colon, tail = name.rpartition(":")
    repository, tag = (head, tail) if colon and "/" not in tail else (name, "")
    if repository.rpartition("/")[2] != repository.rpartition("/")[2].lower():
        words = "invalid reference format: repository name (library/" + repository + ") must be lowercase"
        raise Failure(f'Error parsing reference: "{name}" is not a valid repository/tag: {words}')
    return repository, tag


def pull_target(name: str) -> tuple[str, str]:
    """What ``/images/create`` is asked for: the name, and a tag or digest (``latest`` if the user gave none)."""
    repository, at, digest = name.partition("@")
    if at:
        return repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository, digest
    repository, tag = repository_and_tag(name)
    return repository, tag or "latest"


def canonical(name: str) -> str:
    """With the registry and namespace that a short name stands for."""
    first = name.partition("/")[0]
    if "/" not in name:
        return f"docker.io/library/{name}"
    is_host = "." in first or ":" in first or first == "localhost"
    return name if is_host else f"docker.io/{name}"


def split_reference(name: str) -> tuple[str, str]:
    """``host:5000/app:1.2`` or ``host:5000/app@sha256:…``: its repository, and its tag or digest if any."""
    repository, at, digest = name.partition("@")
    head, colon, tail = repository.rpartition(":")
    bare, tag = (head, tail) if colon and "/" not in tail else (repository, "")
    return bare, digest if at else tag
