"""``image bootstrap``: images of a distribution's packages, whose scripts run in a container of ours."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from cove.engine import emulation
from cove.engine.events.events import Events
from cove.engine.images.transfer_progress import told
from cove.engine.images.workshop import ContainerWorkshop
from cove.errors import InvalidArgument
from cove.images import Image
from cove.images import Images as ImageStore
from cove.images.bootstrap import PLATFORMS, Options, Root, debian_architecture
from cove.images.bootstrap import Progress as Bootstrapped
from cove.images.bootstrap import run as make_root
from cove.platform import Platform
from cove.reference import Reference
from cove.registry.client.progress import Step, Tell
from cove.wire.bootstrap import BootstrapOptions
from cove.wire.images import Progress


class Bootstraps:
    """``work_dir``: where files that are not whole yet may lie."""

    def __init__(self, store: ImageStore, events: Events, workshop: ContainerWorkshop, work_dir: Path) -> None:
        self._store = store
        self._events = events
        self._workshop = workshop
        self._work_dir = work_dir

    async def bootstrap(self, recipe: str, options: BootstrapOptions) -> AsyncIterator[Progress]:
        reference = Reference.parse(options.tag or recipe)
        asked = self._options(options)
        async for line in told(lambda tell: self._bootstrap(recipe, asked, reference, tell)):
            yield line

    def _options(self, asked: BootstrapOptions) -> Options:
        architecture = _architecture(asked.platform)
        return Options(
            mirror=asked.mirror,
            suite=asked.suite,
            keyring=asked.keyring,
            work_dir=self._work_dir,
            architecture=architecture,
            lack=_lack(architecture),
            variant=asked.variant,
            include=tuple(asked.include),
            snapshot=asked.snapshot,
            workshop=self._workshop,
        )

    async def _bootstrap(self, recipe: str, options: Options, reference: Reference, tell: Tell) -> None:
        root = await make_root(recipe, options, lambda item: tell(_step(item)))
        try:
            image = await self._made(root, reference)
        finally:
            await asyncio.to_thread(root.close)
        name = reference.with_default_tag().familiar
        self._events.publish("image", "import", image.id, {"name": name})
        tell(Step(f"Made {name}", aux={"ID": image.id}))

    async def _made(self, root: Root, reference: Reference) -> Image:
        return await self._store.import_(
            root.chunks(),
            reference=reference,
            message=f"cove image bootstrap {root.recipe}",
            changes=root.changes(),
            platform=Platform("linux", root.architecture, root.variant),
            created=root.created,
        )


def _step(item: Bootstrapped) -> Step:
    return Step(item.status, item.id, item.current, item.total) if item.total else Step(item.status, item.id)


def _architecture(text: str) -> str:
    """Debian's name for a platform, or for what is Debian's name already; "" for the machine's own."""
    if not text:
        return ""
    if found := debian_architecture(text):
        return found
    platform = Platform.parse(text)
    if platform.os == "linux" and (found := debian_architecture(platform.architecture, platform.variant)):
        return found
    raise InvalidArgument(f"invalid platform {text}: no distribution has packages for it")


def _lack(architecture: str) -> str:
    """What is missing to run programs of a processor that has this name in Debian."""
    if not architecture:
        return ""
    platform = Platform("linux", *PLATFORMS[architecture])
    return "" if emulation.runs(platform) else emulation.lack(platform)
