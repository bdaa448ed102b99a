"""An apk mirror in a directory: hand-made packages, an index, a key that signs it."""

import base64
import gzip
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

from harness.debian_mirror import make_tar, regular

Entries = list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]


class Made(NamedTuple):
    """A package's bytes, and its block of the index."""

    content: bytes
    block: str


class ApkMirror:
    """One release with the repository main. Add packages, then publish. ``key``: the public one, as a PEM file."""

    def __init__(self, root: Path, release: str = "v9.9", architecture: str = "x86_64") -> None:
        self.root = root
        self.release = release
        self.directory = root / release / "main" / architecture
        self.directory.mkdir(parents=True)
        self.architecture = architecture
        self.key = root / "test.rsa.pub"
        self._private = root / "test.rsa"
        self._blocks: list[str] = []
        subprocess.run(["openssl", "genrsa", "-out", self._private, "2048"], check=True, capture_output=True)
        command = ["openssl", "rsa", "-in", str(self._private), "-pubout", "-out", str(self.key)]
        subprocess.run(command, check=True, capture_output=True)

    def add(self, name: str, version: str, entries: Entries, *, depends: str = "", provides: str = "") -> None:
        """``depends`` and ``provides`` in apk's words."""
        made = make_apk(name, version, self.architecture, entries, depends, provides)
        (self.directory / f"{name}-{version}.apk").write_bytes(made.content)
        self._blocks.append(made.block)

    def publish(self) -> None:
        """Write the signed index."""
        index = gzip.compress(make_tar([regular("APKINDEX", "\n".join(self._blocks).encode())]), mtime=0)
        command = ["openssl", "dgst", "-sha1", "-sign", str(self._private)]
        signature = subprocess.run(command, input=index, check=True, capture_output=True).stdout
        head = unfinished([regular(".SIGN.RSA.test.rsa.pub", signature)])
        (self.directory / "APKINDEX.tar.gz").write_bytes(head + index)


def make_apk(name: str, version: str, architecture: str, entries: Entries, depends: str, provides: str) -> Made:
    """A package without a signature of its own: the index has its checksum."""
    data = gzip.compress(make_tar(entries), mtime=0)
    info = f"pkgname = {name}\npkgver = {version}\ndatahash = {hashlib.sha256(data).hexdigest()}\n"
    control = unfinished([regular(".PKGINFO", info.encode())])
    content = control + data
    checksum = base64.b64encode(hashlib.sha1(control).digest()).decode()
    lines = [f"C:Q1{checksum}", f"P:{name}", f"V:{version}", f"A:{architecture}", f"S:{len(content)}"]
    lines += [f"D:{depends}"] * bool(depends) + [f"p:{provides}"] * bool(provides)
    return Made(content, "\n".join(lines) + "\n")


def unfinished(entries: Entries) -> bytes:
    """A compressed tar without its end, as signatures and controls are."""
    plain = make_tar(entries)
    length = 0
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        for info in tar:
            length = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return gzip.compress(plain[:length], mtime=0)
