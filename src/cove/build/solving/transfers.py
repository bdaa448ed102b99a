"""What COPY and ADD ask for, as an operation. Pure."""

import posixpath

from cove.build.planning.configuring import working_directory
from cove.build.planning.dialect import Dialect
from cove.build.planning.graph import CopyFiles, CopySource, Remote, Vertex
from cove.dockerfile import instructions as types
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.git import is_git
from cove.dockerfile.wildcards import expression, has_wildcards
from cove.errors import InvalidArgument
from cove.layers.builds import permissions
from cove.oci.image import Config

_URLS = ("http://", "https://")


def operation(transfer: types.Transfer, config: Config, dialect: Dialect) -> tuple[CopyFiles, tuple[Vertex, ...]]:
    """The copy, and vertices of what comes from elsewhere, its inputs after the first two. Raises DockerfileError."""
    if isinstance(transfer, types.Add) and transfer.checksum:
        _check_checksum(transfer)
    remote: list[Vertex] = []
    sources: list[CopySource] = []
    for path in transfer.sources:
        if isinstance(transfer, types.Add) and _is_remote(path):
            fetched = Vertex(Remote(path, transfer.checksum, bool(transfer.keep_git_dir)), name=f"ADD {path}")
            remote.append(fetched)
            unpack = bool(transfer.unpack)
            place = 1 + len(remote)
            if is_git(path):  # all that is in the repository
                sources.append(CopySource(input=place))
            else:  # the one file that there is
                sources.append(CopySource(input=place, expression=expression("*"), path="*", unpack=unpack))
        else:
            sources.append(_local(transfer, path, dialect))
    sources += [CopySource(name=given.name, content=given.chomped.encode()) for given in transfer.contents]
    directory = transfer.destination.endswith(("/", "/.")) or transfer.destination in (".", "..")
    if len(sources) > 1 and not directory:
        raise DockerfileError(
            f"When using {transfer.name} with more than one source file, the destination must be a directory "
            "and end with a /",
            transfer.location,
        )
    if transfer.chmod:
        permissions.parse(transfer.chmod)
    made = CopyFiles(
        tuple(sources),
        working_directory(config, transfer.destination),
        directory,
        transfer.chown,
        transfer.chmod,
        dialect.keeps_owners and isinstance(transfer, types.Copy) and bool(transfer.origin),
        isinstance(transfer, types.Copy) and transfer.parents,
        tuple((expression(pattern.lstrip("!")), pattern.startswith("!")) for pattern in transfer.excludes),
        transfer.link,
        dialect.replaces,
    )
    return made, tuple(remote)


def _is_remote(path: str) -> bool:
    return path.startswith(_URLS) or is_git(path)


def _check_checksum(add: types.Add) -> None:
    """It is of one thing, which comes from elsewhere. Raises DockerfileError in BuildKit's words."""
    if len(add.sources) != 1:
        raise DockerfileError("checksum can't be specified for multiple sources", add.location)
    if not _is_remote(add.sources[0]):
        raise DockerfileError("checksum requires HTTP(S) or Git sources", add.location)


def _local(transfer: types.Transfer, path: str, dialect: Dialect) -> CopySource:
    if "\0" in path:
        raise InvalidArgument(f"{transfer.name}: a path cannot have a NUL")
    before, dot, _ = path.partition("/./")
    pivot = len([part for part in before.split("/") if part not in ("", ".")]) if dot else 0
    cleaned = posixpath.normpath("/" + path.lstrip("/")).strip("/")
    unpack = isinstance(transfer, types.Add) and transfer.unpack is not False
    wild = has_wildcards(cleaned)
    deep = isinstance(transfer, types.Copy) and transfer.parents
    optional = wild and dialect.empty_patterns
    return CopySource(1, cleaned, expression(cleaned, deep=deep) if wild else "", pivot, unpack, optional=optional)
