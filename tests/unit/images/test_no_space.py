"""A disk that is full: the request fails with the machine's words, and nothing of it stays."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.errors import Internal
from unit.images.conftest import opened
from unit.images.samples import docker_archive, import_, load, names, tar

pytestmark = pytest.mark.root


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A data root on a file system of 6 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_import_and_load(small: Path) -> None:
    async def run() -> None:
        async with opened(small) as images:
            await import_(images, "kept", a=b"x")
            large = os.urandom(4 << 20)
            for _ in range(2):
                with pytest.raises(Internal, match="No space left on device"):
                    await import_(images, "large", a=large, b=large)
                with pytest.raises(Internal, match="No space left on device"):
                    await load(images, docker_archive((["large"], [tar(a=large)])))
            assert list(names(images).values()) == [["kept:latest"]]
            assert os.listdir(small / "tmp") == [] and len(os.listdir(small / "layers")) == 1
            await import_(images, "next", a=b"y")

    asyncio.run(run())
