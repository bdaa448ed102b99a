"""Names point at indexes and manifests as they came, with all their platforms and what is beside them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from cove.digest import chain_ids
from cove.errors import InvalidArgument, NotFound
from cove.images import Deleted, Images, Untagged, targets
from cove.oci.image import LAYER, Descriptor
from cove.platform import Platform
from cove.reference import Reference
from unit.images.conftest import Body, opened
from unit.images.samples import Multi, digest, import_, index, listed, load, manifest, names, unused

With = Callable[[Body], None]
HERE = Platform("linux", "amd64")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is, the tests' is an amd64."""
    monkeypatch.setattr(targets, "host", lambda: HERE)


def blobs(images: Images) -> set[str]:
    return {blob.digest for blob in images.blobs.all()}


def test_a_name_has_several_platforms(with_images: With) -> None:
    multi = Multi()

    async def body(images: Images) -> None:
        await multi.add(images, "app:1", "arm64")
        arm = digest(multi.configs["arm64"])
        assert images.resolve("app:1").id == arm, "the only one there is"
        await multi.add(images, "app:1", "amd64")
        amd = digest(multi.configs["amd64"])
        assert images.resolve("app:1").id == amd and names(images) == {amd: ["app:1"]}
        assert images.resolve("app:1", Platform("linux", "arm64")).id == arm == images.resolve(arm).id
        with pytest.raises(
            NotFound, match=r"app:1 was found but does not provide the specified platform \(linux/s390x\)"
        ):
            images.resolve("app:1", Platform("linux", "s390x"))
        found = images.target("app:1")
        assert found.digest == digest(multi.index) and found.images == [amd, arm]
        assert [part.kind for part in found.parts] == ["image", "image", "image", "attestation"]
        assert found.parts[3].subject == digest(multi.manifests["amd64"]) and found.parts[2].image == ""

    with_images(body)
    with_images(lambda images: again(images, multi))


async def again(images: Images, multi: Multi) -> None:
    """The next daemon sees the same, and has collected nothing of it."""
    assert images.resolve("app:1", Platform("linux", "arm64")).id == digest(multi.configs["arm64"])
    assert multi.attesting | {digest(layer) for layer in multi.layers.values()} <= blobs(images)


def test_by_the_digest_of_what_was_pulled(with_images: With) -> None:
    multi = Multi()

    async def body(images: Images) -> None:
        image = await multi.add(images, "host:5000/app:1", "amd64", pulled=True)
        target = digest(multi.index)
        for name in (f"host:5000/app@{target}", f"host:5000/app:1@{target}", target, target[7:20], target[:20]):
            assert images.resolve(name).id == image.id
        assert names(images) == {image.id: ["host:5000/app:1", f"host:5000/app@{target}"]}
        assert images.target("host:5000/app:1").repositories == ["host:5000/app"]
        with pytest.raises(NotFound):
            images.resolve(f"other@{target}")

    with_images(body)


def test_names_of_what_was_not_pulled_have_digests_too(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await Multi().add(images, "app:1", "amd64")
        assert images.resolve(f"app@{digest(Multi().index)}").id == image.id

    with_images(body)


def test_all_platforms_go_with_the_last_name(with_images: With) -> None:
    multi = Multi()

    async def body(images: Images) -> None:
        await multi.add(images, "app:1")
        await images.tag("app:1", Reference.parse("again"))
        assert await images.remove("app:1", in_use=unused) == [Untagged("app:1")]
        assert images.resolve("again", Platform("linux", "arm64"))
        removed = await images.remove("again", in_use=unused)
        assert removed[:2] == [Untagged("again:latest"), Deleted(digest(multi.configs["amd64"]))]
        assert blobs(images) == set() and images.layers.uppermost_first() == []

    with_images(body)


def test_a_platform_with_a_name_of_its_own_stays(with_images: With) -> None:
    multi = Multi()

    async def body(images: Images) -> None:
        arm = await multi.add(images, "app:1", "amd64", "arm64")
        layer = multi.layers["arm64"]
        alone = [Descriptor(LAYER, digest(layer), len(layer))]
        await images.add(multi.configs["arm64"], multi.manifests["arm64"], alone, [Reference.parse("arm")])
        await images.remove("app:1", in_use=unused)
        assert names(images) == {arm.id: ["arm:latest"]}
        assert blobs(images) == {digest(multi.configs["arm64"]), digest(multi.manifests["arm64"]), digest(layer)}

    with_images(body)


def test_a_moved_name_leaves_all_platforms_without_one(with_images: With) -> None:
    multi = Multi()

    async def body(images: Images) -> None:
        await multi.add(images, "app:1")
        other = await import_(images, "app:1", x=b"1")
        amd = digest(multi.configs["amd64"])
        assert names(images) == {amd: [], other.id: ["app:1"]} and multi.attesting <= blobs(images)
        await images.tag(amd, Reference.parse("back"))
        assert images.target("back").digest == digest(multi.index)

    with_images(body)


def test_what_a_name_no_longer_needs_goes(with_images: With) -> None:
    """The same image with and without an index: when both names are one, the index is not needed."""
    multi = Multi()

    async def body(images: Images) -> None:
        await multi.add(images, "app:1", "amd64")
        layer = multi.layers["amd64"]
        alone = [Descriptor(LAYER, digest(layer), len(layer))]
        await images.add(multi.configs["amd64"], multi.manifests["amd64"], alone, [Reference.parse("app:1")])
        assert images.target("app:1").digest == digest(multi.manifests["amd64"])
        assert not multi.attesting & blobs(images)

    with_images(body)


def test_nested_indexes(with_images: With) -> None:
    multi = Multi()
    outer = index(listed(multi.index))

    async def body(images: Images) -> None:
        layer = multi.layers["amd64"]
        await images.blobs.put(layer)
        parts = (multi.configs["amd64"], multi.manifests["amd64"], [Descriptor(LAYER, digest(layer), len(layer))])
        await images.add(*parts, [Reference.parse("app")], [outer, multi.index])
        assert images.target("app").indexes == [digest(outer), digest(multi.index)]
        with pytest.raises(InvalidArgument, match="does not list"):
            await images.add(*parts, [Reference.parse("bad")], [multi.index, outer])
        deep = [outer]
        for _ in range(4):
            deep.insert(0, index(listed(deep[0])))
        with pytest.raises(InvalidArgument, match="nested more than 4 deep"):
            await images.add(*parts, [Reference.parse("deep")], [*deep, multi.index])
        assert list(names(images).values()) == [["app:latest"]]
        assert digest(deep[0]) not in blobs(images)

    with_images(body)


def test_artefacts_are_kept_and_are_no_images(with_images: With) -> None:
    multi = Multi()
    chart = manifest(b"{}", [], artifactType="application/vnd.example.chart")
    both = index(listed(chart), listed(multi.manifests["amd64"], "linux/amd64"))

    async def body(images: Images) -> None:
        layer = multi.layers["amd64"]
        async with images.lease() as lease:
            lease.keep(digest(layer), digest(chart))
            await images.blobs.put(layer)
            await images.blobs.put(chart)
            parts = (multi.configs["amd64"], multi.manifests["amd64"], [Descriptor(LAYER, digest(layer), len(layer))])
            await images.add(*parts, [Reference.parse("app")], [both])
        assert [part.kind for part in images.target("app").parts] == ["unknown", "image"]
        assert digest(chart) in blobs(images)

    with_images(body)


def test_schema_1_is_refused_in_clear_words(with_images: With) -> None:
    async def body(images: Images) -> None:
        old = b'{"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": []}'
        with pytest.raises(InvalidArgument, match="image schema 1 are not supported: build or push the image again"):
            await images.add(Multi().configs["amd64"], old, [Descriptor(LAYER, "sha256:" + "0" * 64, 1)])

    with_images(body)


def test_a_lease_keeps_what_a_removal_would_collect(with_images: With) -> None:
    multi = Multi()

    async def body(images: Images) -> None:
        image = await multi.add(images, "app:1", "amd64")
        async with images.lease() as lease:
            lease.keep(*image.chain_ids, *image.blobs)
            await images.remove("app:1", in_use=unused)
            await images.collect()
            assert set(image.blobs) <= blobs(images) and images.layers.get(image.chain_ids[0])
        assert blobs(images) == set() and images.layers.uppermost_first() == []

    with_images(body)


def test_a_keeper_is_asked_whenever_garbage_is_collected(tmp_path: Path) -> None:
    async def body() -> None:
        kept: set[str] = set()
        async with opened(tmp_path, lambda: kept) as images:
            image = await import_(images, "x", a=b"1")
            kept.update(image.chain_ids)
            await images.remove("x", in_use=unused)
        async with opened(tmp_path, lambda: kept) as images:
            assert [layer.chain_id for layer in images.layers.uppermost_first()] == chain_ids(
                image.config.rootfs.diff_ids
            )
            kept.clear()
            assert await images.collect(image.chain_ids) == image.chain_ids
            assert blobs(images) == set()

    asyncio.run(body())


def test_images_of_older_versions_get_their_manifest_for_a_target(with_images: With, tmp_path: Path) -> None:
    async def first(images: Images) -> None:
        await import_(images, "old", a=b"1")
        statements = (
            "DELETE FROM image_targets",
            "UPDATE image_names SET record = cast(json_remove(record, '$.target') AS BLOB)",
        )
        for statement in statements:
            await images._inventory._database.run(lambda connection, said=statement: connection.execute(said))

    async def second(images: Images) -> None:
        image = images.resolve("old")
        assert images.target("old").digest == image.manifest and set(image.blobs) == blobs(images)
        assert await load(images, await saved(images, "old"))

    with_images(first)
    with_images(second)


async def saved(images: Images, *wanted: str) -> bytes:
    return b"".join([piece async for piece in images.save(wanted)])
