"""A daemon that is killed at any moment leaves whole images, and garbage that the next start collects."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cove.images import Images
from unit.images.conftest import opened
from unit.images.samples import docker_archive, import_, load, names, tar, unused

TESTS = Path(__file__).parents[2]
LAYERS = [tar(**{f"f{number}": os.urandom(5000) for number in range(60)}) for _ in range(3)]
ARCHIVE = docker_archive((["a:1"], LAYERS[:2]), (["b:1"], LAYERS))
DAEMON = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from unit.images.conftest import opened
from unit.images.samples import Multi, load, import_, unused

async def collecting(images):
    while True:
        await images.collect()
        await asyncio.sleep(0.01)

async def main():
    async with opened(Path(sys.argv[1])) as images:
        print("ready", flush=True)
        data = Path(sys.argv[2]).read_bytes()
        collector = asyncio.ensure_future(collecting(images))
        while True:
            await load(images, data)
            await import_(images, "c:1", x=b"1", y=b"2" * 100_000)
            await Multi().add(images, "d:1")
            for name in ("a:1", "c:1", "b:1", "d:1"):
                await images.remove(name, in_use=unused)

asyncio.run(main())
"""


async def check(images: Images, root: Path) -> None:
    """Everything that is there is whole, and nothing else is there."""
    if images._inventory._collecting is not None:
        await asyncio.wait([images._inventory._collecting])
    used_blobs, used_layers = set(), set()
    for listed in images.select():
        for target in images.targets(listed.image.id):
            used_blobs.update(target.blobs)
            for image in map(images.get, target.images):
                used_blobs.update(image.blobs)
                for path in await images.lower_directories(image.id):
                    used_layers.add(path.name)
                    assert len(os.listdir(path)) in (60, 2, 1)
    report = await images.verify([])
    assert report.problems == []
    there = {f"sha256:{name}" for name in os.listdir(root / "blobs/sha256")}
    assert there == {blob.digest for blob in images.blobs.all()} and there <= used_blobs
    assert set(os.listdir(root / "layers")) == used_layers
    assert os.listdir(root / "tmp") == []


@pytest.mark.parametrize("seed", range(int(os.environ.get("COVE_TEST_KILLS", "8"))))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    source, root = tmp_path / "archive.tar", tmp_path / "root"
    root.mkdir()
    source.write_bytes(ARCHIVE)
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, root, source, TESTS], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    with daemon.stdout:
        assert daemon.stdout.readline() == b"ready\n"
        time.sleep(random.Random(seed).uniform(0.0, 0.8))  # the moment is the input of this test
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    async def after() -> None:
        async with opened(root) as images:
            await check(images, root)
            await load(images, ARCHIVE)
            assert {"a:1", "b:1"} <= {name for found in names(images).values() for name in found}
            await check(images, root)

    asyncio.run(after())


def test_garbage_of_every_kind_is_collected(tmp_path: Path) -> None:
    async def first() -> None:
        async with opened(tmp_path) as images:
            await import_(images, "kept", x=b"1", y=b"2")
            # rows of blobs and layers that no image stands on: stopped between two steps
            orphan = await images.blobs.put(b"orphan")
            assert images.blobs.get(orphan.digest)

    asyncio.run(first())
    (tmp_path / "layers/0badcafe").mkdir()
    (tmp_path / "layers/0badcafe/half").write_bytes(b"x")
    (tmp_path / "tmp/load-0").mkdir()
    (tmp_path / "tmp/load-0/1").write_bytes(b"x")
    (tmp_path / "tmp/blob-1").write_bytes(b"x")
    (tmp_path / "blobs/sha256" / ("0" * 64)).write_bytes(b"x")

    async def second() -> None:
        async with opened(tmp_path) as images:
            await check(images, tmp_path)
            assert list(names(images).values()) == [["kept:latest"]]
            await images.remove("kept", in_use=unused)
            await check(images, tmp_path)

    asyncio.run(second())
