"""``rmi`` and ``prune``: the rules and the words are Docker's, seen on Docker."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cove.errors import Conflict, InvalidArgument, NotFound
from cove.filters import Filters
from cove.images import Deleted, Image, Images, Untagged, Use
from cove.reference import Reference
from unit.images.conftest import Body
from unit.images.samples import docker_archive, import_, load, names, stream, tar, unused

With = Callable[[Body], None]
CONTAINER = "c0ffee" * 10 + "abcd"


def used_by(image: Image, running: bool) -> Callable[[str], Sequence[Use]]:
    return lambda image_id: [Use(CONTAINER, running)] if image_id == image.id else []


async def write_container(images: Images, image: Image) -> None:
    """The row that the engine has for a container."""
    await images._inventory._database.run(
        lambda connection: connection.execute(
            "INSERT INTO containers VALUES (?, 'name', ?, x'7b7d')", (CONTAINER, image.id)
        )
    )


async def delete_container(images: Images, image: Image) -> None:
    await images._inventory._database.run(lambda connection: connection.execute("DELETE FROM containers"))
    await images.released(image.id)


async def named(images: Images, *references: str) -> Image:
    image = await import_(images, references[0], a=b"x")
    for reference in references[1:]:
        await images.tag(image.id, Reference.parse(reference))
    return image


def chains(image: Image) -> list[Deleted]:
    return [Deleted(image.id), *(Deleted(chain_id) for chain_id in reversed(image.chain_ids))]


def test_the_last_name_takes_the_image(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x:1", "x:2", "y")
        assert await images.remove("x:1", in_use=unused) == [Untagged("x:1")]
        assert await images.remove("docker.io/library/x:2", in_use=unused) == [Untagged("x:2")]
        assert await images.remove("y", in_use=unused) == [Untagged("y:latest"), *chains(image)]
        with pytest.raises(NotFound, match="No such image: y:latest"):
            await images.remove("y", in_use=unused)

    with_images(body)


def test_digests_go_with_the_last_tag_of_their_repository(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x:1", "y:1")
        digest = Reference.parse(f"x@{image.manifest}")
        await images.pushed(image.manifest, Reference.parse("x"))
        assert await images.remove("x:1", in_use=unused) == [Untagged("x:1"), Untagged(digest.familiar)]
        assert names(images) == {image.id: ["y:1"]}

    with_images(body)


def test_by_id(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x:1", "x:2")
        short = image.id[7:19]
        with pytest.raises(Conflict) as caught:
            await images.remove(short, in_use=unused)
        assert caught.value.message == (
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
        removed = await images.remove(short, force=True, in_use=unused)
        assert removed == [Untagged("x:1"), Untagged("x:2"), *chains(image)]

    with_images(body)


def test_a_name_that_a_container_uses(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x")
        with pytest.raises(Conflict) as caught:
            await images.remove("x", in_use=used_by(image, running=False))
        assert caught.value.message == (
            'conflict: unable to remove repository reference "x" (must force) - '
            f"container {CONTAINER[:12]} is using its referenced image {image.id[7:19]}"
        )
        assert names(images) == {image.id: ["x:latest"]}

    with_images(body)


@pytest.mark.parametrize(
    ("running", "how", "why"),
    [(True, "cannot be forced", "running container"), (False, "must be forced", "stopped container")],
)
def test_an_id_that_a_container_uses(with_images: With, running: bool, how: str, why: str) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x")
        with pytest.raises(Conflict) as caught:
            await images.remove(image.id, force=running, in_use=used_by(image, running))
        assert caught.value.message == (
            f"conflict: unable to delete {image.id[7:19]} ({how}) - image is being used by {why} {CONTAINER[:12]}"
        )
        assert names(images) == {image.id: ["x:latest"]}

    with_images(body)


def test_force_only_untags_what_runs(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x")
        assert await images.remove("x", force=True, in_use=used_by(image, True)) == [Untagged("x:latest")]
        assert names(images) == {image.id: []}

    with_images(body)


def test_what_a_stopped_container_uses_stays_until_it_goes(with_images: With, tmp_path: Path) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x")
        await write_container(images, image)
        removed = await images.remove("x", force=True, in_use=used_by(image, False))
        assert removed == [Untagged("x:latest"), Deleted(image.id)]
        assert names(images) == {} and images.get(image.id).hidden
        with pytest.raises(NotFound):
            images.resolve(image.id)

    async def after_restart(images: Images) -> None:
        (hidden,) = images._inventory.catalog.images.values()
        (lower,) = await images.lower_directories(hidden.id)
        assert (lower / "a").read_bytes() == b"x"
        await images.released(hidden.id)
        assert lower.exists(), "the container is still there"
        await delete_container(images, hidden)
        assert not lower.exists() and images.blobs.all() == []

    with_images(body)
    with_images(after_restart)


def test_a_hidden_image_can_come_back(with_images: With) -> None:
    data = docker_archive((["x"], [tar(a=b"x")]))

    async def body(images: Images) -> None:
        await load(images, data)
        image = images.resolve("x")
        await write_container(images, image)
        await images.remove("x", force=True, in_use=used_by(image, False))
        await load(images, data)
        await delete_container(images, image)
        assert images.resolve("x").id == image.id and await images.lower_directories(image.id)

    with_images(body)


def test_what_is_held_stays(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await named(images, "x")
        with images.hold(image.id):
            await images.remove("x", in_use=unused)
            (lower,) = await images.lower_directories(image.id)
            assert lower.exists()
        await images.released(image.id)
        assert not lower.exists()

    with_images(body)


def test_shared_layers_stay_for_the_other_image(with_images: With) -> None:
    base, top = tar(a=b"1"), tar(b=b"2")

    async def body(images: Images) -> None:
        await load(images, docker_archive((["one"], [base, top]), (["two"], [base])))
        one, two = images.resolve("one"), images.resolve("two")
        assert await images.remove("one", in_use=unused) == [
            Untagged("one:latest"),
            Deleted(one.id),
            Deleted(one.chain_ids[1]),
        ]
        (lower,) = await images.lower_directories(two.id)
        assert (lower / "a").read_bytes() == b"1"
        assert await images.remove("two", in_use=unused) == [Untagged("two:latest"), *chains(two)]

    with_images(body)


def test_prune(with_images: With) -> None:
    async def body(images: Images) -> None:
        dangling = await import_(images, a=b"12345")
        labelled = await images.import_(stream(tar(b=b"1")), changes=["LABEL keep=1"])
        named_, used = await import_(images, "x", c=b"123"), await import_(images, "u", d=b"1")
        in_use = used_by(used, True)
        pruned = await images.prune(Filters({"label!": ["keep"]}), in_use)
        assert (pruned.removed, pruned.reclaimed) == (chains(dangling), 5)
        assert (await images.prune(Filters({"until": ["2000-01-01T00:00:00Z"]}), in_use)).removed == []
        pruned = await images.prune(Filters({"dangling": ["false"], "until": ["0s"]}), in_use)
        assert {item.digest for item in pruned.removed if isinstance(item, Deleted)} >= {labelled.id, named_.id}
        assert Untagged("x:latest") in pruned.removed and pruned.reclaimed == 4
        assert names(images) == {used.id: ["u:latest"]}
        with pytest.raises(InvalidArgument, match="invalid filter 'wrong'"):
            await images.prune(Filters({"wrong": ["x"]}), in_use)

    with_images(body)
