"""Layers that are compressed for a push, while the name is moved, removed, or loses a platform."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from cove.images import Images
from cove.images.compressing import PLAIN, compressed
from cove.platform import Platform
from cove.reference import Reference
from unit.images.samples import Multi, import_, names, unused

NAME = Reference.parse("some/app:1").with_default_tag()
With = Callable[[Callable[[Images], Awaitable[None]]], None]


@contextmanager
def _held(images: Images, ids: Sequence[str]) -> Iterator[None]:
    with ExitStack() as held:
        for each in ids:
            held.enter_context(images.hold(each))
        yield


async def _stay(images: Images) -> None:
    pass


async def _move(images: Images) -> None:
    await images.tag("other", NAME)


async def _remove(images: Images) -> None:
    await images.remove(str(NAME), in_use=unused)


async def _remove_platform(images: Images) -> None:
    await images.remove(str(NAME), platforms=[Platform("linux", "arm64")], in_use=unused)


@pytest.mark.parametrize(
    ("meanwhile", "several"),
    [(each, several) for each in (_stay, _move, _remove) for several in (False, True)] + [(_remove_platform, True)],
)
def test_what_is_done_to_the_name_meanwhile_stays(
    with_images: With, meanwhile: Callable[[Images], Awaitable[None]], several: bool
) -> None:
    async def body(images: Images) -> None:
        await import_(images, "other", file=b"other")
        if several:
            await Multi().add(images, str(NAME))
        else:
            await import_(images, str(NAME), file=b"pushed")
        before = images.target(str(NAME))
        async with images.lease() as lease:
            lease.keep(*before.blobs)
            with _held(images, before.images):
                await meanwhile(images)
                left = names(images)
                now = await compressed(images, lease, NAME, before, lambda image: lambda diff_id, read: None)
                assert now.digest != before.digest and now.images == before.images
                layers = [blob.media_type for part in now.parts if part.image for blob in part.blobs[1:]]
                assert len(layers) == len(before.images) and not PLAIN.intersection(layers)
                for part in now.parts:
                    assert not part.image or images.blobs.get(part.descriptor.digest)
        assert names(images) == left
        if meanwhile is _stay:
            assert images.target(str(NAME)) == now
        else:
            assert not any(target.digest == now.digest for target in images.best_targets().values())
            assert images.blobs.get(now.digest) is None

    with_images(body)
