"""Images in, looked up, named, out."""

import asyncio
import bz2
import gzip
import hashlib
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from cove.errors import InvalidArgument, NotFound
from cove.filters import Filters
from cove.images import Images, LoadProgress
from cove.oci.image import CONFIG
from cove.platform import Platform
from cove.reference import Reference
from unit.images.conftest import Body, opened
from unit.images.samples import (
    archive,
    config,
    digest,
    docker_archive,
    import_,
    index,
    listed,
    load,
    manifest,
    names,
    stream,
    tar,
    unused,
)

With = Callable[[Body], None]


def test_import_shape(with_images: With) -> None:
    async def body(images: Images) -> None:
        data = tar(etc__passwd=b"root")
        image = await images.import_(
            stream(data), reference=Reference.parse("base"), changes=["CMD sh"], platform=Platform("linux", "arm64")
        )
        found = json.loads(await images.blobs.read(image.id, 1 << 20))
        assert found["rootfs"] == {"type": "layers", "diff_ids": [digest(data)]}
        assert found["history"] == [{"created": found["created"], "comment": "Imported from -"}]
        assert (found["comment"], found["architecture"], found["os"]) == ("Imported from -", "arm64", "linux")
        assert found["config"] == {"Cmd": ["/bin/sh", "-c", "sh"]}
        assert image.id == digest(await images.blobs.read(image.id, 1 << 20)) and image.size == 4
        assert [layer.media_type for layer in image.layers] == ["application/vnd.oci.image.layer.v1.tar"]
        assert b"".join([piece async for piece in images.blobs.stream(digest(data))]) == data
        (lower,) = await images.lower_directories(image.id)
        assert (lower / "etc/passwd").read_bytes() == b"root"
        assert names(images) == {image.id: ["base:latest"]}

    with_images(body)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_import_of_compressed_tars_is_the_same(with_images: With, compress: Callable[[bytes], bytes]) -> None:
    async def body(images: Images) -> None:
        data = tar(a=b"x" * 5000)
        made = [
            await images.import_(stream(packed), created="2020-01-01T00:00:00Z") for packed in (data, compress(data))
        ]
        assert made[0].id == made[1].id and len(images.select()) == len(images.layers.uppermost_first()) == 1

    with_images(body)


@pytest.mark.parametrize(
    "bad",
    [b"not a tar" * 100, tar(a=b"x" * 2000)[:1500], gzip.compress(tar(a=b"x"))[:-4]],
    ids=["no tar", "half a tar", "half a gzip"],
)
def test_nothing_is_left_of_a_bad_import(with_images: With, tmp_path: Path, bad: bytes) -> None:
    async def body(images: Images) -> None:
        with pytest.raises(InvalidArgument):
            await images.import_(stream(bad), reference=Reference.parse("x"))
        assert images.select() == []

    with_images(body)
    assert leftovers(tmp_path) == []


def test_load_of_old_archives(with_images: With, tmp_path: Path) -> None:
    base, top = tar(a=b"1", b=b"2"), tar(a=b"3")
    data = docker_archive((["one:1", "two"], [base, top]), ([], [base]))

    async def body(images: Images) -> None:
        loaded = await load(images, gzip.compress(data))
        first, second = digest(config([base, top])), digest(config([base]))
        assert [(item.image, item.reference) for item in loaded] == [
            (first, "one:1"),
            (first, "two:latest"),
            (second, ""),
        ]
        assert [(path / "a").read_bytes() for path in await images.lower_directories(first)] == [b"3", b"1"]
        assert len(images.layers.uppermost_first()) == 2 and images.resolve("two").layer_sizes == [2, 1]

    with_images(body)
    assert {path.name for path in (tmp_path / "tmp").iterdir()} == set()


def test_load_says_how_far_it_is(with_images: With) -> None:
    layer = tar(big=bytes(3 << 20))

    async def body(images: Images) -> None:
        events = [event async for event in images.load(stream(docker_archive((["x"], [layer]))))]
        progress = [event for event in events if isinstance(event, LoadProgress)]
        assert progress and all(event.layer == digest(layer)[7:19] and event.total == len(layer) for event in progress)

    with_images(body)


def _long_digests(*, of_config: bool) -> bytes:
    """An OCI layout with an image in an index, by a SHA-512 digest at one place."""

    def put(blob: bytes, algorithm: str, **more: object) -> dict[str, object]:
        named = hashlib.new(algorithm, blob).hexdigest()
        files[f"blobs/{algorithm}/{named}"] = blob
        return {**listed(blob), "digest": f"{algorithm}:{named}", **more}

    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    data = config([])
    described = put(data, "sha512" if of_config else "sha256", mediaType=CONFIG)
    entry = put(manifest(data, [], config=described), "sha256" if of_config else "sha512")
    return archive(files | {"index.json": index(put(index(entry), "sha256"))})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tar(a=b"x"), "neither manifest.json nor an OCI layout"),
        (archive({"manifest.json": b"["}), "manifest.json: "),
        (archive({"manifest.json": b'[{"Config":"x.json","Layers":[]}]'}), "x.json: not in the archive"),
        (archive({"manifest.json": b'[{"Config":"c","Layers":[]}]', "c": config([b"x"])}), "layers length mismatch"),
        (
            archive({"manifest.json": b'[{"Config":"c","Layers":["l"]}]', "c": config([b"x"]), "l": tar(a=b"y")}),
            "invalid diffID: expected",
        ),
        (
            archive({"manifest.json": b'[{"Config":"c","Layers":["l"]}]', "c": config([b"x"]), "l": b"x"}),
            "unexpected end",
        ),
        (archive({"manifest.json": b'[{"Config":"c","Layers":[],"RepoTags":["X"]}]', "c": config([])}), "lowercase"),
        (b"", "neither manifest.json"),
        (_long_digests(of_config=True), "the configuration must have a sha256 digest: sha512:"),
        (_long_digests(of_config=False), "a manifest in an index must have a sha256 digest: sha512:"),
    ],
)
def test_nothing_is_left_of_a_bad_archive(with_images: With, tmp_path: Path, data: bytes, message: str) -> None:
    async def body(images: Images) -> None:
        with pytest.raises(InvalidArgument, match=message):
            await load(images, data)
        assert images.select() == []

    with_images(body)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["estargz", "zstd:chunked"])
def test_layers_for_lazy_pulls_are_unpacked_as_containerd_does(with_images: With, kind: str) -> None:
    """Their landmarks and tables of contents are files like others, and part of the diff id."""
    plain = archive({".prefetch.landmark": b"\x0f", "program": b"x" * 3000, "stargz.index.json": b"{}"})
    pieces = [plain[:512], plain[512:2048], plain[2048:]]
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    packed = {
        "estargz": b"".join(gzip.compress(piece, mtime=0) for piece in pieces) + gzip.compress(b"", mtime=0),
        "zstd:chunked": b"".join(zstd.compress(piece) for piece in pieces) + skippable,
    }[kind]
    data = {"manifest.json": b'[{"Config":"c","Layers":["l"],"RepoTags":["lazy"]}]', "c": config([plain]), "l": packed}

    async def body(images: Images) -> None:
        await load(images, archive(data))
        image = images.resolve("lazy")
        (lower,) = await images.lower_directories(image.id)
        assert sorted(os.listdir(lower)) == [".prefetch.landmark", "program", "stargz.index.json"]
        assert image.layers[0].media_type.endswith("+gzip" if kind == "estargz" else "+zstd")

    with_images(body)


class TestLayouts:
    layer = tar(a=b"x")

    def layout(self, platforms: dict[str, str], **manifest: object) -> dict[str, bytes]:
        """An OCI layout with an index of images for several platforms: platform to what its file holds."""
        files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

        def blob(data: bytes, media_type: str) -> dict[str, object]:
            files[f"blobs/sha256/{digest(data)[7:]}"] = data
            return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

        manifests = []
        for platform, text in platforms.items():
            system, architecture = platform.split("/")
            layer = gzip.compress(tar(a=text.encode()), mtime=0)
            data = config([tar(a=text.encode())], os=system, architecture=architecture)
            described = {
                "schemaVersion": 2,
                "config": blob(data, "application/vnd.oci.image.config.v1+json"),
                "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
            }
            entry = blob(json.dumps(described).encode(), "application/vnd.oci.image.manifest.v1+json")
            manifests.append(entry | {"platform": {"os": system, "architecture": architecture}})
        nested = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        top = blob(nested, "application/vnd.oci.image.index.v1+json")
        top["annotations"] = {"io.containerd.image.name": "docker.io/library/many:1"}
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]} | manifest).encode()
        return files

    def test_the_wanted_platform_is_taken(self, with_images: With) -> None:
        files = self.layout({"linux/amd64": "intel", "linux/arm64": "arm", "unknown/unknown": "attestation"})

        async def body(images: Images) -> None:
            async for _ in images.load(stream(archive(files)), [Platform("linux", "arm64")]):
                pass
            image = images.resolve("many:1")
            assert image.config.architecture == "arm64" and len(images.select()) == 1
            assert image.layers[0].digest == digest(gzip.compress(tar(a=b"arm"), mtime=0))
            (lower,) = await images.lower_directories(image.id)
            assert (lower / "a").read_bytes() == b"arm"
            with pytest.raises(InvalidArgument, match="no image for linux/s390x"):
                async for _ in images.load(stream(archive(files)), [Platform("linux", "s390x")]):
                    pass

        with_images(body)

    def test_other_platforms_may_be_missing(self, with_images: With) -> None:
        files = self.layout({"linux/riscv64": "risc", "linux/s390x": "z"})
        missing = json.loads(files["index.json"])["manifests"][0]["digest"]
        entries = json.loads(files[f"blobs/sha256/{missing[7:]}"])["manifests"]
        del files[f"blobs/sha256/{entries[1]['digest'][7:]}"]

        async def body(images: Images) -> None:
            await load(images, archive(files))
            assert images.resolve("many:1").config.architecture == "riscv64"

        with_images(body)

    def test_every_blob_is_verified(self, with_images: With) -> None:
        files = self.layout({"linux/amd64": "intel"})

        async def body(images: Images) -> None:
            for name in [name for name in files if name.startswith("blobs/")]:
                with pytest.raises(InvalidArgument):
                    await load(images, archive(files | {name: files[name] + b" "}))
            assert images.select() == [] and images.blobs.all() == []

        with_images(body)


def test_save_is_loaded_again_by_itself(with_images: With, tmp_path: Path) -> None:
    data = docker_archive((["one:1", "one:2"], [tar(a=b"1"), tar(b=b"2")]), (["other"], [tar(a=b"1")]))

    async def body(images: Images) -> None:
        await load(images, data)
        before = names(images)
        saved = [
            b"".join([piece async for piece in images.save(wanted)]) for wanted in (["one", "other"], ["one", "other"])
        ]
        assert saved[0] == saved[1]
        for name in ("one:1", "one:2", "other"):
            await images.remove(name, in_use=unused)
        assert names(images) == {} and leftovers(tmp_path) == []
        await load(images, saved[0])
        assert names(images) == before
        by_id = b"".join([piece async for piece in images.save([images.resolve("other").id])])
        await images.remove("other", in_use=unused)
        assert [item.reference for item in await load(images, by_id)] == [""]
        with pytest.raises(NotFound):
            images.save(["one", "missing"])

    with_images(body)


def test_resolve(with_images: With) -> None:
    async def body(images: Images) -> None:
        image = await import_(images, "base:1", a=b"x")
        await images.tag(image.id, Reference.parse("registry:5000/base"))
        for name in (
            "base:1",
            "docker.io/library/base:1",
            "registry:5000/base",
            image.id,
            image.id[7:],
            image.id[7:19],
            image.id[:15],
        ):
            assert images.resolve(name).id == image.id
        for name, message in {
            "base": "No such image: base:latest",
            "bogus": "No such image: bogus:latest",
            "sha256:" + "0" * 64: "No such image: sha256:" + "0" * 64,
            "registry:5000/x:1": "No such image: registry:5000/x:1",
        }.items():
            with pytest.raises(NotFound) as caught:
                images.resolve(name)
            assert caught.value.message == message
        others = [await import_(images, "", **{f"f{number}": b""}) for number in range(17)]
        shared = next(a.id[7] for a in others for b in others if a.id != b.id and a.id[7] == b.id[7])
        with pytest.raises(InvalidArgument, match="multiple IDs found with provided prefix"):
            images.resolve(shared)

    with_images(body)


def test_tags_move(with_images: With) -> None:
    async def body(images: Images) -> None:
        first, second = await import_(images, "x", a=b"1"), await import_(images, "x", a=b"2")
        assert names(images) == {first.id: [], second.id: ["x:latest"]}
        await images.tag(first.id, Reference.parse("x"))
        assert names(images) == {first.id: ["x:latest"], second.id: []}
        with pytest.raises(InvalidArgument, match="refusing to create a tag with a digest reference"):
            await images.tag(first.id, Reference.parse(f"x@{first.id}"))

    with_images(body)


def test_list_and_filters(with_images: With) -> None:
    async def body(images: Images) -> None:
        made = {}
        for day, name in enumerate(("a/one:1", "two", ""), start=1):
            made[name] = await images.import_(
                stream(tar(f=name.encode())),
                reference=Reference.parse(name) if name else None,
                created=f"2020-01-0{day}T00:00:00Z",
                changes=[f"LABEL day={day}"],
            )
        await images.tag(made["two"].id, Reference.parse("a/two:1"))

        def select(**filters: str) -> list[tuple[str, list[str]]]:
            found = images.select(Filters({name: [value] for name, value in filters.items()}))
            return [
                (
                    item.image.created and next(k for k, v in made.items() if v.id == item.image.id),
                    [r.familiar for r in item.references],
                )
                for item in found
            ]

        assert [name for name, _ in select()] == ["", "two", "a/one:1"]
        assert select(dangling="true") == [("", [])]
        assert len(select(dangling="false")) == 2
        assert [name for name, _ in select(label="day=2")] == ["two"]
        assert len(select(label="day")) == 3 and select(label="night") == []
        assert [name for name, _ in select(before="two")] == ["a/one:1"]
        assert [name for name, _ in select(since="a/one:1")] == ["", "two"]
        assert select(reference="a/*") == [("two", ["a/two:1"]), ("a/one:1", ["a/one:1"])]
        assert select(reference="*") == [("two", ["two:latest"])]
        assert select(reference="*/*:[1-3]") == select(reference="a/*")
        assert [name for name, _ in select(until="2020-01-02T00:00:00Z")] == ["a/one:1"]
        for bad in ({"wrong": "x"}, {"dangling": "maybe"}, {"reference": "["}, {"until": "never"}):
            with pytest.raises(InvalidArgument):
                select(**bad)
        with pytest.raises(NotFound):
            select(before="missing")

    with_images(body)


def test_history(with_images: With) -> None:
    layers = [tar(a=b"12345"), tar(b=b"123")]
    steps = [
        {"created": "2020-01-01T00:00:00.123456789Z", "created_by": "ADD"},
        {"created": "2020-01-02T00:00:00Z", "created_by": "CMD", "empty_layer": True},
        {"created_by": "RUN", "comment": "c"},
    ]

    async def body(images: Images) -> None:
        await load(images, docker_archive((["x"], layers), history=steps))
        image = images.resolve("x")
        found = [(item.id, item.created, item.created_by, item.size, item.tags) for item in images.history(image)]
        assert found == [
            (image.id, 0, "RUN", 3, ["x:latest"]),
            ("<missing>", 1577923200, "CMD", 0, []),
            ("<missing>", 1577836800, "ADD", 5, []),
        ]

    with_images(body)


def test_many_at_once(tmp_path: Path) -> None:
    base = tar(a=b"base")

    async def one(images: Images, number: int) -> None:
        await load(images, docker_archive(([f"x{number}"], [base, tar(n=b"%d" % number)])))
        await images.remove(f"x{number}", in_use=unused)

    async def run() -> None:
        async with opened(tmp_path) as images:
            await asyncio.gather(*(one(images, number % 3) for number in range(3)))
            assert names(images) == {}

    asyncio.run(run())
    assert leftovers(tmp_path) == []


def leftovers(root: Path) -> list[str]:
    """Files and directories of blobs, layers and work that are there."""
    return [str(path) for part in ("blobs/sha256", "layers", "tmp") for path in (root / part).iterdir()]
