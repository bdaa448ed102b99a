"""A mirror in a directory with real packages of this machine's release: enough for a minimal root, and for Python.

They are fetched once per machine, as apt is set up, and kept in a cache; every test run that comes later, and every
worker, shares them.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cove.images.bootstrap import debs
from cove.images.bootstrap.apt_sources import read_sources
from cove.images.bootstrap.archive import COMPONENT, suite_sources
from cove.images.bootstrap.download import Downloads
from cove.images.bootstrap.index import Candidate, read_indexes
from cove.images.bootstrap.machine import Machine
from cove.images.bootstrap.release import fetch_release
from cove.images.bootstrap.variants import VARIANTS
from harness.debian_mirror import DebianMirror, Package
from harness.openpgp import make_key

CACHE = Path("/tmp/cove-test-packages")
WANTED = {
    "minbase": ("hello",),
    "distroless": ("python3-minimal", "base-files", "ca-certificates", "netbase", "tzdata"),
}
"""What can be included, of each variant."""

_FIELDS = ("essential", "priority", "depends", "pre-depends", "provides", "conflicts", "breaks", "multi-arch")


class RealPackages(NamedTuple):
    """``root``: of the mirror. ``keyring``: of who signed it. ``date``: of its release, as a snapshot has it."""

    root: Path
    suite: str
    keyring: Path
    date: str

    @property
    def flags(self) -> list[str]:
        return ["--mirror", f"file:{self.root}", "--keyring", str(self.keyring)]


def real_packages() -> RealPackages:
    """The mirror; made at the first call on a machine. Raises CoveError when the packages cannot be fetched."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "made.json").exists():
            with _fresh(CACHE / "mirror") as root:
                made = asyncio.run(_make(root))
            (CACHE / "made.json").write_text(json.dumps(made))
        suite, date = json.loads((CACHE / "made.json").read_text())
    return RealPackages(CACHE / "mirror", suite, CACHE / "mirror" / "archive.gpg", date)


def busybox_of(architecture: str) -> bytes:
    """The static busybox of another processor, as Debian calls it. Raises CoveError when it cannot be fetched."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = CACHE / f"busybox-{architecture}"
        if not kept.exists():
            machine = replace(Machine.detect(), architecture=architecture)
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                wanted = {"distroless": ("busybox-static",)}
                (found,) = asyncio.run(_fetched(machine, Path(work), wanted, released=True))
                package = debs.path(Path(work), found.package)
                subprocess.run(["dpkg-deb", "--extract", str(package), f"{work}/root"], check=True)
                os.rename(f"{work}/root/bin/busybox", kept)
        return kept.read_bytes()


@contextlib.contextmanager
def _fresh(root: Path) -> Iterator[Path]:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    yield root


async def _make(root: Path) -> tuple[str, str]:
    machine = Machine.detect()
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        chosen = await _fetched(machine, Path(work), WANTED)
        date = datetime.now(UTC).replace(microsecond=0)
        owner = make_key("The archive <archive@test>")
        mirror = DebianMirror(root, owner, machine.codename, machine.architecture)
        mirror.compression = "gz"
        mirror.fields["Date"] = date.strftime("%a, %d %b %Y %H:%M:%S UTC")
        for candidate in chosen:
            mirror.add_file(_package(candidate, Path(work)))
        mirror.publish()
        (root / "archive.gpg").write_bytes(owner.keyring())
    return machine.codename, date.strftime("%Y-%m-%dT%H:%M:%SZ")


async def _fetched(
    machine: Machine, work: Path, wanted: Mapping[str, tuple[str, ...]], *, released: bool = False
) -> Sequence[Candidate]:
    """``released``: without updates and security fixes, which mirrors may have for this machine's processor alone."""
    sources = suite_sources(read_sources(machine), machine, machine.codename)
    sources = [each for each in sources if not released or each.suite == machine.codename]
    async with Downloads(machine, lambda progress: None) as downloads:
        now = datetime.now(UTC)
        releases = [await fetch_release(each, machine, downloads, work, lambda item: None, now) for each in sources]
        index = await read_indexes(releases, (COMPONENT,), machine.architecture, downloads, work)
        chosen = {each.name: each for name, more in wanted.items() for each in VARIANTS[name].choose(index, more)}
        index.close()
        await debs.fetch((candidate.package for candidate in chosen.values()), downloads, work)
    return list(chosen.values())


def _package(candidate: Candidate, work: Path) -> Package:
    package = candidate.package
    fields = {name.title(): " ".join(candidate.fields[name].split()) for name in _FIELDS if candidate.fields.get(name)}
    content = debs.path(work, package).read_bytes()
    os.unlink(debs.path(work, package))
    return Package(package.name, str(package.version), package.architecture, content, fields)
