"""The API's requests about what is in registries: search, look, manifests, referrers, copies between them."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from cove.engine.images.credentials import credentials_of, registry_of
from cove.engine.images.transfer_progress import told
from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.oci.image import Index
from cove.platform import Platform
from cove.reference import Reference
from cove.registry.client import look, search
from cove.registry.client.copy import Copier
from cove.registry.client.failures import RegistryError
from cove.registry.client.manifests import INDEXES, MANIFESTS, Fetched, Manifests
from cove.registry.client.progress import Step, Tell
from cove.registry.client.session import Session
from cove.registry.client.settings import Registries as Settings
from cove.wire.images import AuthConfig, Progress, SearchResult
from cove.wire.registries import DistributionInspect, Manifest


class Registries:
    """Asks registries for clients. ``settings``: how they are reached."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def search(
        self, term: str, *, limit: int, filters: Filters, auth: AuthConfig | None
    ) -> Sequence[SearchResult]:
        found = await search.search(term, limit, filters, credentials_of(auth), self.settings)
        return [
            SearchResult(
                name=each.name,
                description=each.description or "",
                star_count=each.star_count,
                is_official=each.is_official,
                is_automated=each.is_automated,
            )
            for each in found
        ]

    async def look(self, name: str, *, auth: AuthConfig | None) -> DistributionInspect:
        reference = Reference.parse(name).with_default_tag()
        async with self._session(reference, auth) as session:
            looked = await look.look(session, reference)
        return DistributionInspect(
            descriptor=msgspec.to_builtins(looked.manifest.descriptor),
            platforms=[msgspec.to_builtins(platform) for platform in looked.platforms],
        )

    async def manifest(self, name: str, *, auth: AuthConfig | None) -> Manifest:
        reference = Reference.parse(name).with_default_tag()
        async with self._session(reference, auth) as session:
            try:
                found = await look.manifest(session, reference)
            except RegistryError as error:
                raise look.told(error) from error
        return Manifest(found.media_type, found.digest, found.body)

    async def put_manifest(self, name: str, manifest: Manifest, *, auth: AuthConfig | None) -> None:
        reference = Reference.parse(name).with_default_tag()
        if manifest.media_type not in INDEXES | MANIFESTS:
            raise InvalidArgument(f"unsupported Content-Type: {manifest.media_type!r} is no manifest's media type")
        async with self._session(reference, auth, reading=False) as session:
            manifests = Manifests(session, reference.path, "pull,push")
            try:
                await manifests.put(
                    reference.tag or manifest.digest, Fetched(manifest.digest, manifest.media_type, manifest.body)
                )
            except RegistryError as error:
                raise look.told(error) from error

    async def referrers(self, name: str, *, artifact_type: str, auth: AuthConfig | None) -> Index:
        reference = Reference.parse(name).with_default_tag()
        async with self._session(reference, auth) as session:
            try:
                digest = reference.digest or (await look.manifest(session, reference)).digest
                return await Manifests(session, reference.path).referrers(digest, artifact_type)
            except RegistryError as error:
                raise look.told(error) from error

    async def copy(
        self, source: str, target: str, *, platform: str, auth: AuthConfig | None, target_auth: AuthConfig | None
    ) -> AsyncIterator[Progress]:
        wanted = Platform.parse(platform) if platform else None
        there, here = Reference.parse(source).with_default_tag(), Reference.parse(target)
        if not here.tag and not here.digest and not there.digest:
            here = here.with_default_tag()

        async def work(tell: Tell) -> None:
            async with (
                self._session(there, auth) as reading,
                self._session(here, target_auth, reading=False) as writing,
            ):
                copied = await Copier(reading, there, writing, here, tell).copy(wanted)
                size = len(copied.body)
                tell(Step(f"{here.familiar}: digest: {copied.digest} size: {size}"))
                tell(Step(current=0, aux={"Tag": here.tag, "Digest": copied.digest, "Size": size}))

        async for line in told(work):
            yield line

    def _session(self, reference: Reference, auth: AuthConfig | None, *, reading: bool = True) -> Session:
        return Session(registry_of(reference), credentials_of(auth), self.settings, reading=reading)
