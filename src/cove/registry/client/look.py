"""What a name stands for at a registry, without pulling it."""

from typing import NamedTuple

import msgspec

from cove.errors import CoveError, Forbidden, NotFound, Unauthorized
from cove.oci import image as oci
from cove.reference import Reference
from cove.registry.client.blobs import BlobReader, read_small
from cove.registry.client.failures import RegistryError
from cove.registry.client.manifests import Fetched, Manifests, parse_index, parse_manifest
from cove.registry.client.session import Session

MAX_CONFIG = 4 << 20


class Looked(NamedTuple):
    """``platforms``: what there is for, in the order of the index."""

    manifest: Fetched
    platforms: list[oci.Platform]


async def look(session: Session, reference: Reference) -> Looked:
    """Raises NotFound, Unauthorized, Forbidden, Upstream; in Docker's words."""
    try:
        fetched = await manifest(session, reference)
        if fetched.is_index:
            return Looked(fetched, [each.platform for each in parse_index(fetched.body).manifests if each.platform])
        parsed = parse_manifest(fetched.body)
        reader = BlobReader(session, reference.path)
        config = await read_small(reader, parsed.config, MAX_CONFIG, "configuration")
        return Looked(fetched, [_platform(config)])
    except RegistryError as error:
        raise told(error) from error


async def manifest(session: Session, reference: Reference) -> Fetched:
    """The manifest or index itself. Raises RegistryError, Upstream."""
    manifests = Manifests(session, reference.path)
    if reference.digest:
        return await manifests.get(reference.digest)
    found = await manifests.head(reference.tag)
    return await manifests.get(found.digest if found else reference.tag)


def told(error: RegistryError) -> CoveError:
    """A refusal as the API tells of it."""
    kinds = {401: Unauthorized, 403: Forbidden, 404: NotFound}
    return kinds[error.status](error.message) if error.status in kinds else error


def _platform(config: bytes) -> oci.Platform:
    try:
        return msgspec.json.decode(config, type=oci.Platform)
    except msgspec.MsgspecError:
        return oci.Platform()
