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
