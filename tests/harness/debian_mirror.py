"""A Debian package mirror in a directory: small packages, indexes, a signed release. Not one real host is involved."""

import gzip
import hashlib
import io
import lzma
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from harness.openpgp import Key

MADE = 1_650_000_000
"""When the files of the packages were made, in seconds since the epoch."""

APPLETS = ["[", "busybox", "cat", "env", "httpd", "nc", "ps", "sh", "sleep", "wget"]
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "gz": partial(gzip.compress, mtime=0),
    "": bytes,
}


class Package(NamedTuple):
    """A package and what its stanza says of it; ``lies`` are fields of the stanza that are not as they should be."""

    name: str
    version: str
    architecture: str
    content: bytes
    lies: Mapping[str, str]

    @property
    def filename(self) -> str:
        return f"pool/main/{self.name}_{self.version.partition(':')[2] or self.version}_{self.architecture}.deb"

    def stanza(self) -> str:
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Description": f"a package\n more of {self.name}\n .",
            "Filename": self.filename,
            "Size": str(len(self.content)),
            "SHA256": hashlib.sha256(self.content).hexdigest(),
        }
        return "".join(f"{name}: {value}\n" for name, value in (fields | dict(self.lies)).items())


class DebianMirror:
    """One suite with the component main. Add packages, then publish."""

    def __init__(self, root: Path, key: Key, suite: str = "gadget", architecture: str = "amd64") -> None:
        self.root = root
        self.key = key
        self.suite = suite
        self.architecture = architecture
        self.packages: list[Package] = []
        self.compression = "xz"
        self.fields = {
            "Origin": "Test",
            "Codename": suite,
            "Date": "Fri, 15 Apr 2022 05:20:00 UTC",
            "Components": "main",
            "Architectures": architecture,
        }

    @property
    def dists(self) -> Path:
        return self.root / "dists" / self.suite

    @property
    def index(self) -> Path:
        return self.dists / "main" / f"binary-{self.architecture}" / self._index_name

    @property
    def _index_name(self) -> str:
        return f"Packages.{self.compression}" if self.compression else "Packages"

    def add(self, name: str, version: str, entries: list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]) -> Package:
        content = make_deb(name, version, self.architecture, entries)
        return self.add_file(Package(name, version, self.architecture, content, {}))

    def add_file(self, package: Package) -> Package:
        path = self.root / package.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(package.content)
        self.packages.append(package)
        return package

    def publish(self) -> None:
        """Write the index and an inline-signed release."""
        (self.dists / "InRelease").write_bytes(self.key.clearsign(self.write_index()))

    def publish_detached(self) -> None:
        """The same, with the signature beside the release."""
        text = self.write_index().encode()
        (self.dists / "Release").write_bytes(text)
        (self.dists / "Release.gpg").write_bytes(self.key.detached(text))

    def write_index(self) -> str:
        """Write the index; the text of a release for it."""
        self.index.parent.mkdir(parents=True, exist_ok=True)
        content = COMPRESSORS[self.compression]("\n".join(package.stanza() for package in self.packages).encode())
        self.index.write_bytes(content)
        head = "".join(f"{name}: {value}\n" for name, value in self.fields.items())
        path = self.index.relative_to(self.dists)
        return f"{head}SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} {path}\n"

    @contextmanager
    def served(self) -> Iterator[str]:
        """The mirror's URL, on a port of 127.0.0.1."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(self.root)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: the tests say what went wrong."""


def busybox_entries(path: str = "./bin/busybox") -> list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]:
    """What a package of a program that lists applets, as busybox does, installs."""
    script = "#!/bin/sh\n" + "".join(f"echo '{applet}'\n" for applet in APPLETS)
    return [
        directory("./"),
        directory("./bin"),
        regular(path, script.encode(), 0o755),
        regular("./usr/share/doc/busybox-static/copyright", b"free\n"),
        regular("./usr/share/doc/busybox-static/README", b"not wanted\n"),
    ]


def directory(name: str) -> tarfile.TarInfo:
    return entry(name, tarfile.DIRTYPE, mode=0o755)


def regular(name: str, content: bytes, mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = entry(name, tarfile.REGTYPE, mode=mode)
    info.size = len(content)
    return info, content


def entry(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, target, mode, MADE
    return info


def make_deb(
    name: str,
    version: str,
    architecture: str,
    entries: list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]],
    compression: str = "xz",
) -> bytes:
    """A package's bytes."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n".encode()
    suffix = f".{compression}" if compression else ""
    compress = COMPRESSORS[compression]
    return make_ar(
        {
            "debian-binary": b"2.0\n",
            f"control.tar{suffix}": compress(make_tar([regular("./control", control)])),
            f"data.tar{suffix}": compress(make_tar(entries)),
        }
    )


def make_tar(entries: list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for item in entries:
            info, content = item if isinstance(item, tuple) else (item, b"")
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def make_ar(members: Mapping[str, bytes]) -> bytes:
    archive = b"!<arch>\n"
    for name, content in members.items():
        archive += f"{name:<16}{MADE:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    return archive
