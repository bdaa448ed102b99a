"""Manifests and indexes of one repository: bounded, and always what their digest says."""

from typing import Any, NamedTuple, TypeVar

import msgspec

from cove.digest import Digest
from cove.errors import InvalidArgument, Upstream
from cove.oci import image as oci
from cove.registry.client.failures import RegistryError
from cove.registry.client.session import Request, Session, read_bounded

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest or an index (distribution's own limit)."""
MAX_TAGS = 100_000
PAGE = 1000
"""Tags that are asked for at once."""

INDEXES = frozenset((oci.INDEX, oci.DOCKER_LIST))
MANIFESTS = frozenset((oci.MANIFEST, oci.DOCKER_MANIFEST))
SCHEMA_1 = frozenset(
    (
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    )
)
ACCEPT = ", ".join((oci.DOCKER_MANIFEST, oci.DOCKER_LIST, oci.MANIFEST, oci.INDEX, "*/*"))


T = TypeVar("T")


class Fetched(NamedTuple):
    """A manifest or index as it came: ``media_type`` of ``INDEXES``, ``MANIFESTS``, or a stranger's."""

    digest: str
    media_type: str
    body: bytes

    @property
    def descriptor(self) -> oci.Descriptor:
        return oci.Descriptor(self.media_type, self.digest, len(self.body))

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES


class _Typed(msgspec.Struct, rename="camel"):
    media_type: str = ""
    schema_version: int = 0
    manifests: Any = None
    config: Any = None
    layers: Any = None


class Manifests:
    """``path``: of the repository, without the registry's name."""

    def __init__(self, session: Session, path: str, actions: str = "pull") -> None:
        self._session = session
        self._path = path
        self._scopes = (f"repository:{path}:{actions}",)

    async def head(self, tag_or_digest: str) -> oci.Descriptor | None:
        """What a tag points to, without fetching it; None when the registry does not say. Raises RegistryError."""
        request = Request(
            "HEAD", f"{self._path}/manifests/{tag_or_digest}", self._scopes, {"Accept": ACCEPT}, accept=(200,)
        )
        try:
            async with self._session.request(request) as response:
                digest = response.headers.get("Docker-Content-Digest", "")
                size = response.content_length
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        except RegistryError as error:
            if error.status in (
                404,
                405,
            ):  # has no words, which the request proper brings; some registries know no HEAD
                return None
            raise
        try:
            return oci.Descriptor(kind, str(Digest.parse(digest)), size or 0)
        except InvalidArgument:
            return None

    async def digest_of(self, tag: str) -> str:
        """What a tag points to; empty when there is no such tag, or it is not for us to know. Raises Unreachable."""
        try:
            found = await self.head(tag)
        except RegistryError:
            return ""
        return found.digest if found else ""

    async def get(self, tag_or_digest: str, limit: int = MAX_MANIFEST) -> Fetched:
        """A manifest, verified when it was asked for by digest. Raises RegistryError, Upstream."""
        request = Request("GET", f"{self._path}/manifests/{tag_or_digest}", self._scopes, {"Accept": ACCEPT})
        async with self._session.request(request) as response:
            body = await read_bounded(response, limit, f"manifest {self._path}:{tag_or_digest}")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            told = response.headers.get("Docker-Content-Digest", "")
        expected = tag_or_digest if ":" in tag_or_digest else told
        digest = _digest(body, expected)
        return Fetched(digest, media_type(body, kind), body)

    async def put(self, tag_or_digest: str, manifest: Fetched) -> None:
        """Give a manifest its place. Raises RegistryError, Upstream when the registry makes another of it."""
        request = Request(
            "PUT",
            f"{self._path}/manifests/{tag_or_digest}",
            self._scopes,
            {"Content-Type": manifest.media_type},
            body=lambda: manifest.body,
            accept=(200, 201, 202),
        )
        async with self._session.request(request) as response:
            told = response.headers.get("Docker-Content-Digest", manifest.digest)
        if told != manifest.digest:
            raise Upstream(f"the registry stored {told} for manifest {manifest.digest}")

    async def delete(self, digest: str) -> None:
        """Remove a manifest. Raises RegistryError."""
        request = Request("DELETE", f"{self._path}/manifests/{digest}", self._scopes, accept=(200, 202))
        async with self._session.request(request):
            pass

    async def tags(self) -> list[str]:
        """All tags, in the registry's order, page by page. Raises RegistryError, Upstream when there is no end."""
        found: list[str] = []
        last = ""
        while True:
            query = [("n", str(PAGE)), *([("last", last)] if last else [])]
            request = Request(
                "GET", f"{self._path}/tags/list", self._scopes, query=query if last else [("n", str(PAGE))]
            )
            async with self._session.request(request) as response:
                body = await read_bounded(response, MAX_MANIFEST, f"the list of tags of {self._path}")
                more = 'rel="next"' in response.headers.get("Link", "")
            page = _tags(body)
            found += page
            if not more or not page or page[-1] == last:
                return found
            if len(found) > MAX_TAGS:
                raise Upstream(f"repository {self._path} has more than {MAX_TAGS} tags")
            last = page[-1]

    async def referrers(self, digest: str, artifact_type: str = "") -> oci.Index:
        """What refers to a manifest (distribution-spec 1.1); by the tag of old where the registry knows no better."""
        query = [("artifactType", artifact_type)] if artifact_type else []
        request = Request("GET", f"{self._path}/referrers/{digest}", self._scopes, {"Accept": oci.INDEX}, query)
        try:
            async with self._session.request(request) as response:
                body = await read_bounded(response, MAX_MANIFEST, f"the referrers of {digest}")
                filtered = "artifactType" in response.headers.get("OCI-Filters-Applied", "")
        except RegistryError as error:
            if error.status != 404:
                raise
            body, filtered = await self._fallback(digest), False
        index = parse_index(body)
        if artifact_type and not filtered:
            kept = [each for each in index.manifests if each.artifact_type == artifact_type]
            return msgspec.structs.replace(index, manifests=kept)
        return index

    async def _fallback(self, digest: str) -> bytes:
        try:
            return (await self.get(digest.replace(":", "-"))).body
        except RegistryError as error:
            if error.status == 404:
                return msgspec.json.encode(oci.Index(manifests=[], schema_version=2, media_type=oci.INDEX))
            raise


def parse_index(body: bytes) -> oci.Index:
    """Raises Upstream for what is none."""
    index = _decoded(body, oci.Index, "index")
    for descriptor in index.manifests:
        _check(descriptor)
    return index


def parse_manifest(body: bytes) -> oci.Manifest:
    """Raises Upstream for what is none, and for descriptors that cannot be of any blob."""
    manifest = _decoded(body, oci.Manifest, "manifest")
    for descriptor in (manifest.config, *manifest.layers):
        _check(descriptor)
    return manifest


def _check(descriptor: oci.Descriptor) -> None:
    """A digest becomes part of addresses and paths: it must be one."""
    try:
        Digest.parse(descriptor.digest)
    except InvalidArgument as error:
        raise Upstream(f"the registry's manifest has a bad descriptor: {error.message}") from error
    if descriptor.size < 0:
        raise Upstream(f"the registry's manifest has a bad descriptor: {descriptor.digest} of {descriptor.size} bytes")


def _decoded(body: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Upstream(f"the registry's {what} cannot be read: {error}") from error


def _digest(body: bytes, expected: str) -> str:
    """The digest of what came. Raises Upstream when it is not the one expected."""
    try:
        wanted = Digest.parse(expected) if expected else None
    except InvalidArgument as error:
        raise Upstream(f"the registry's digest of a manifest is none: {error.message}") from error
    if wanted is None:
        return str(Digest.of(body))
    checksum = wanted.hash()
    checksum.update(body)
    if checksum.hexdigest() != wanted.hex:
        found = f"{wanted.algorithm}:{checksum.hexdigest()}"
        raise Upstream(f"manifest verification failed for digest {wanted}: what came is {found}")
    return str(wanted)


def media_type(body: bytes, told: str) -> str:
    """The type of a manifest: what the body says, or the registry, or what it looks like. Raises Upstream."""
    try:
        found = msgspec.json.decode(body, type=_Typed)
    except msgspec.MsgspecError as error:
        raise Upstream(f"the registry's manifest cannot be read: {error}") from error
    if found.media_type:
        return found.media_type
    if told in INDEXES | MANIFESTS | SCHEMA_1:
        return told
    if found.schema_version == 1:
        return next(iter(SCHEMA_1))
    if found.manifests is not None:
        return oci.INDEX
    return oci.MANIFEST if found.layers is not None and found.config is not None else told


def _tags(body: bytes) -> list[str]:
    class Tags(msgspec.Struct):
        tags: list[str] | None = None

    return _decoded(body, Tags, "list of tags").tags or []
