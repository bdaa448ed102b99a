"""What things take on disk: measuring, remembering, adding up."""

import asyncio
import os
from pathlib import Path

from cove.engine import usage
from cove.engine.sizes import Sizes, tree_size
from cove.wire.containers import ContainerSummary
from cove.wire.images import ImageSummary
from cove.wire.volumes import UsageData, Volume


def test_a_tree(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_bytes(b"x" * 100)
    os.link(tmp_path / "a" / "file", tmp_path / "a" / "b" / "again")
    os.symlink("a/file", tmp_path / "link")
    os.symlink("/", tmp_path / "away")
    assert tree_size(tmp_path) == 100 + len("a/file") + len("/")
    assert tree_size(tmp_path / "nothing") == 0


def test_a_size_is_measured_again_when_something_may_have_changed(tmp_path: Path) -> None:
    async def body() -> None:
        sizes, file = Sizes(), tmp_path / "file"
        file.write_bytes(b"12345")
        assert await sizes.of("x", tmp_path, 1) == 5
        file.write_bytes(b"123")
        assert await sizes.of("x", tmp_path, 1) == 5
        assert await sizes.of("x", tmp_path, 2) == 3
        file.write_bytes(b"1")
        assert await sizes.of("x", tmp_path, None) == 1
        sizes.retain({"y"})
        file.write_bytes(b"12")
        assert await sizes.of("x", tmp_path, 2) == 2

    asyncio.run(body())


def test_who_asks_meanwhile_shares_the_answer(tmp_path: Path) -> None:
    async def body() -> None:
        sizes = Sizes()
        (tmp_path / "file").write_bytes(b"12345")
        assert await asyncio.gather(*(sizes.of("x", tmp_path, None) for _ in range(50))) == [5] * 50

    asyncio.run(body())


def test_sums() -> None:
    images = [
        ImageSummary(id="a", size=100, shared_size=60, containers=1),
        ImageSummary(id="b", size=70, shared_size=60),
    ]
    images[1].containers = 0
    told = usage.of_images(images, 110, verbose=False)
    assert (told.total_count, told.active_count, told.total_size, told.reclaimable, told.items) == (2, 1, 110, 70, None)
    containers = [
        ContainerSummary(id="a", names=[], size_rw=5, state="paused"),
        ContainerSummary(id="b", names=[], size_rw=7, state="exited"),
    ]
    of_containers = usage.of_containers(containers, verbose=True)
    assert (of_containers.active_count, of_containers.total_size, of_containers.reclaimable) == (1, 12, 7)
    assert of_containers.items == containers
    volumes = [
        Volume(name="a", usage_data=UsageData(size=3, ref_count=1)),
        Volume(name="b", usage_data=UsageData(size=4, ref_count=0)),
    ]
    of_volumes = usage.of_volumes(volumes, verbose=False)
    assert (of_volumes.total_count, of_volumes.active_count, of_volumes.reclaimable) == (2, 1, 4)
