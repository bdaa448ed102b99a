"""The API's requests that bring images in and out: load, save, import, pull and push."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from cove.engine.events.events import Events
from cove.engine.images.credentials import credentials_of, registry_of
from cove.engine.images.images import attributes, reference_of
from cove.engine.images.transfer_progress import message, told
from cove.engine.platforms import asked
from cove.errors import InvalidArgument, NotFound
from cove.images import Image, Loaded, LoadProgress
from cove.images import Images as ImageStore
from cove.platform import Platform, host
from cove.reference import Reference
from cove.registry.client.authorization import Credentials
from cove.registry.client.download import download
from cove.registry.client.progress import Bar, Step, Tell
from cove.registry.client.pull import Puller
from cove.registry.client.push import Pusher
from cove.registry.client.session import Session
from cove.registry.client.settings import Registries
from cove.wire.images import AuthConfig, Progress

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

    async def save(self, names: list[str], *, platforms: Sequence[str], called: Sequence[str]) -> AsyncIterator[bytes]:
        if not names:
            raise InvalidArgument("no image to save is named")
        others = [Reference.parse(name).with_default_tag() for name in called]
        stream = self._store.save(names, [asked(platform) for platform in platforms], others)
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
        reference = reference_of(repo, tag)
        make = functools.partial(
            self._store.import_,
            reference=reference,
            message=message,
            changes=changes,
            platform=Platform.parse(platform) if platform else None,
            source=source,
        )

        async def work(tell: Tell) -> None:
            image = await (make(chunks) if source == "-" else self._fetched(_url(source), make, tell))
            if reference is not None:
                self._events.publish("image", "tag", image.id, attributes(image, reference.with_default_tag().familiar))
            self._events.publish("image", "import", image.id, attributes(image, image.id))
            tell(Step(image.id))

        async for line in told(work):
            yield line

    async def _fetched(self, url: str, make: Callable[..., Awaitable[Image]], tell: Tell) -> Image:
        """The image that ``Images.import_`` makes of what is at a URL."""
        tell(Step(f"Downloading from {url}"))
        async with download(url, self.registries) as found, aclosing(found.pieces()) as pieces:
            bar = Bar("", tell)
            return await make(pieces, progress=lambda read: bar.at("Importing", read, found.size))

    async def pull(self, image: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        wanted = asked(platform) if platform else host()
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
        wanted = asked(platform) if platform else None
        reference = _pushed_name(name, tag)
        async for line in told(lambda tell: self._push(reference, wanted, credentials_of(auth), tell)):
            yield line

    async def _push(
        self, reference: Reference, platform: Platform | None, credentials: Credentials, tell: Tell
    ) -> None:
        tell(Step(f"The push refers to repository [{reference.repository}]"))
        names = [reference] if reference.tag else self._store.tags(reference.repository)
        if not names or not self._is_here(names[0]):
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        async with Session(registry_of(reference), credentials, self.registries, reading=False) as session:
            for pushed in await Pusher(session, reference, self._store, tell).tags(names, platform):
                told_of = attributes(pushed.image, reference.familiar_name)
                self._events.publish("image", "push", pushed.reference.familiar, told_of)

    def _is_here(self, reference: Reference) -> bool:
        try:
            self._store.target(str(reference))
        except NotFound:
            return False
        return True


def _url(source: str) -> str:
    """What a user names, which may be without a scheme, as with Docker. Raises InvalidArgument."""
    url = source if "://" in source else f"http://{source}"
    if not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"{source}: only http and https URLs can be imported from")
    return url


def _pushed_name(name: str, tag: str) -> Reference:
    """What is to be pushed: a tag, or a repository for all its tags. Raises InvalidArgument."""
    reference = Reference.parse(f"{name}:{tag}" if tag else name)
    if reference.digest:
        raise InvalidArgument("cannot push a digest reference")
    return reference


def _layer(item: LoadProgress) -> Progress:
    return message(Step("Loading layer", item.layer, item.current, item.total))


def _loaded(item: Loaded) -> list[Progress]:
    lines = []
    if item.replaced:
        renamed = f"renaming the old one with ID {item.replaced} to empty string"
        lines.append(Progress(stream=f"The image {item.reference} already exists, {renamed}\n"))
    what = f"Loaded image: {item.reference}" if item.reference else f"Loaded image ID: {item.image}"
    return [*lines, Progress(stream=f"{what}\n")]
