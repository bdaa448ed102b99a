"""Attestations of an image (SBOMs, provenance) on their way down, beside its layers."""

import logging
from collections.abc import Sequence

from cove.content import Blob, Blobs
from cove.images.leases import Lease
from cove.oci.image import Descriptor
from cove.registry.client.blobs import BlobReader
from cove.registry.client.failures import RegistryError
from cove.registry.client.manifests import Manifests, parse_manifest

log = logging.getLogger(__name__)

MOST_MANIFESTS = 32
MOST_BYTES = 256 << 20
"""Of all attestations of one image; what is beyond is left where it is."""


class Attestations:
    """Brings attestations of one repository to ``store``, where ``lease`` keeps them."""

    def __init__(self, manifests: Manifests, reader: BlobReader, store: Blobs, lease: Lease) -> None:
        self._manifests = manifests
        self._reader = reader
        self._store = store
        self._lease = lease
        self._left = MOST_BYTES

    async def bring(self, found: Sequence[Descriptor]) -> None:
        """Have these here, whole. What the registry does not have is passed over: the image is good without.

        Raises RegistryError, Upstream; InvalidArgument when something is not what its digest says.
        """
        for descriptor in found[:MOST_MANIFESTS]:
            try:
                await self._one(descriptor)
            except RegistryError as error:
                if error.status != 404:
                    raise
                log.warning("attestation %s is not in its registry: %s", descriptor.digest, error.message)

    async def _one(self, descriptor: Descriptor) -> None:
        """A manifest is kept after what it stands on, so that what is here of an index is whole."""
        fetched = await self._manifests.get(descriptor.digest)
        manifest = parse_manifest(fetched.body)
        blobs = (manifest.config, *manifest.layers)
        self._left -= sum(blob.size for blob in blobs)
        if self._left < 0:
            log.warning("attestation %s is too large to be kept", descriptor.digest)
            return
        self._lease.keep(fetched.digest, *(blob.digest for blob in blobs))
        for blob in blobs:
            if self._store.get(blob.digest) is None:
                await self._store.receive(self._reader.stream(blob), Blob(blob.digest, blob.size))
        await self._store.put(fetched.body)
