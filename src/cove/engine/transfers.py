"""The API's requests that bring images in and out: load, save, import, pull and push."""

import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from cove.engine.events import Events
from cove.engine.images import attributes, reference_of
from cove.engine.platforms import asked
from cove.engine.transfer_progress import told
from cove.errors import InvalidArgument, Unimplemented
from cove.images import Images as ImageStore
from cove.images import Loaded, LoadProgress
from cove.platform import Platform, host
from cove.reference import Reference
from cove.registry.client.authorization import NOBODY, Credentials
from cove.registry.client.places import host_of
from cove.registry.client.progress import Step, Tell
from cove.registry.client.pull import Puller
from cove.registry.client.session import Session
from cove.registry.client.settings import Registries
from cove.wire.images import AuthConfig, Progress, ProgressDetail

STEP = 1 << 20
"""Bytes between two lines of progress of one thing."""


class Transfers:
    """Moves images over the API. ``work_dir``: where files that are not whole yet may lie."""

    def __init__(self, store: ImageStore, events: Events, work_dir: Path, registries: Registries) -> None:
        self._store = store
        self._events = events
        self._work_dir = work_dir
        self.registries = registries

    async def load(
        self, chunks: AsyncIterator[bytes], *, quiet: bool, platforms: Sequence[str]
    ) -> AsyncIterator[Progress]:
        wanted = [asked(platform) for platform in platforms]
        async for item in self._store.load(chunks, wanted):
            if isinstance(item, Loaded):
                image = self._store.get(item.image)
                self._events.publish("image", "load", image.id, attributes(image, image.id))
                for line in _loaded(item):
                    yield line
            elif not quiet:
                yield _layer(item)

    async def save(self, names: list[str], *, platforms: Sequence[str]) -> AsyncIterator[bytes]:
        if not names:
            raise InvalidArgument("no image to save is named")
        stream = self._store.save(names, [asked(platform) for platform in platforms])
        for name in names:
            image = self._store.resolve(name)
            self._events.publish("image", "save", image.id, attributes(image, image.id))
        return stream

    async def import_(
        self,
        chunks: AsyncIterator[bytes],
        *,
        source: str,
        repo: str,
        tag: str,
        message: str,
        changes: list[str],
        platform: str,
    ) -> AsyncIterator[Progress]:
        if source != "-":
            raise Unimplemented("import from a URL is not supported yet: pipe the archive in instead")
        image = await self._store.import_(
            chunks,
            reference=reference_of(repo, tag),
            message=message,
            changes=changes,
            platform=Platform.parse(platform) if platform else None,
            source=source,
        )
        reference = reference_of(repo, tag)
        if reference is not None:
            self._events.publish("image", "tag", image.id, attributes(image, reference.with_default_tag().familiar))
        self._events.publish("image", "import", image.id, attributes(image, image.id))
        yield Progress(status=image.id)

    async def pull(self, image: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        wanted = Platform.parse(platform) if platform else host()
        reference = reference_of(image, tag) or Reference.parse(image)
        async for line in told(lambda tell: self._pull(reference, wanted, credentials_of(auth), tell)):
            yield line

    async def _pull(self, reference: Reference, platform: Platform, credentials: Credentials, tell: Tell) -> None:
        async with Session(registry_of(reference), credentials, self.registries) as session:
            puller = Puller(session, reference, self._store, platform, tell)
            whole = reference.tag or reference.digest
            pulled = [await puller.one(reference)] if whole else await puller.all_tags()
        for each in pulled:
            told_of = attributes(each.image, reference.familiar_name)
            self._events.publish("image", "pull", each.reference.familiar, told_of)
        changed = any(each.changed for each in pulled)
        news = "Downloaded newer image" if changed else "Image is up to date"
        tell(Step(f"Status: {news} for {reference.familiar}"))

    async def push(self, name: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        raise Unimplemented(f"push of {name}: registries are not supported yet; use save")
        yield Progress()


def registry_of(reference: Reference) -> str:
    """Where the image is, if it is where its name says."""
    return host_of(reference.domain)


def credentials_of(auth: AuthConfig | None) -> Credentials:
    """What a client sent along for a registry."""
    if auth is None:
        return NOBODY
    username, password = auth.username, auth.password
    if auth.auth and not username:
        username, _, password = decoded_auth(auth.auth).partition(":")
    return Credentials(username, password, auth.identity_token, auth.registry_token)


def decoded_auth(text: str) -> str:
    """``user:password`` from base64, as configuration files have it. Raises InvalidArgument."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError as error:
        raise InvalidArgument("auth: it is not base64 of user:password") from error


def _layer(item: LoadProgress) -> Progress:
    return Progress(
        status="Loading layer",
        id=item.layer,
        progress_detail=ProgressDetail(current=item.current, total=item.total),
    )


def _loaded(item: Loaded) -> list[Progress]:
    lines = []
    if item.replaced:
        renamed = f"renaming the old one with ID {item.replaced} to empty string"
        lines.append(Progress(stream=f"The image {item.reference} already exists, {renamed}\n"))
    what = f"Loaded image: {item.reference}" if item.reference else f"Loaded image ID: {item.image}"
    return [*lines, Progress(stream=f"{what}\n")]
