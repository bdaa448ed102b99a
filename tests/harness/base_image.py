"""The root file system that most tests run: a static busybox with a link for each applet, as a reproducible tar."""

import functools
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

DIRECTORIES = (
    "bin",
    "dev",
    "etc",
    "home",
    "proc",
    "root",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "var",
    "var/spool",
    "var/www",
)
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n",
}


@functools.cache
def busybox_root() -> bytes:
    """An uncompressed tar: a few directories, /etc/passwd and group, /bin/busybox and its applets."""
    program = shutil.which("busybox")
    if program is None:
        raise FileNotFoundError("busybox-static is not installed: scripts/setup does that")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in DIRECTORIES:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755))
        for name, text in FILES.items():
            _add_file(tar, name, text.encode(), 0o644)
        _add_file(tar, "bin/busybox", Path(program).read_bytes(), 0o755)
        for applet in applets:
            if applet != "busybox":
                link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tar.addfile(link)
    return buffer.getvalue()


def small_tar(files: dict[str, str]) -> bytes:
    """An uncompressed tar of regular files: path to content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            _add_file(tar, name, text.encode(), 0o644)
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uname, entry.gname = kind, mode, "root", "root"
    return entry


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
