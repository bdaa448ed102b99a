"""What an empty volume gets from the image, and what a container gets from the volumes of others."""

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness.compare import API, Observed, answer, ask, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

CAPABILITY = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
"""cap_net_bind_service, permitted (capabilities(7), version 2)."""
ENTRIES: tuple[tuple[str, bytes, int, dict[str, Any]], ...] = (
    ("d", tarfile.DIRTYPE, 0o1750, {"uid": 5, "gid": 6}),
    ("d/file", tarfile.REGTYPE, 0o640, {"uid": 7, "gid": 8, "size": 4}),
    ("d/hard", tarfile.LNKTYPE, 0o640, {"linkname": "d/file", "uid": 7, "gid": 8}),
    ("d/attribute", tarfile.REGTYPE, 0o600, {"pax_headers": {"SCHILY.xattr.user.test": "value"}}),
    ("d/capable", tarfile.REGTYPE, 0o755, {"pax_headers": {"SCHILY.xattr.security.capability": CAPABILITY}}),
    ("d/setid", tarfile.REGTYPE, 0o6755, {"uid": 7, "gid": 8}),
    ("d/link", tarfile.SYMTYPE, 0o777, {"linkname": "/etc/passwd", "uid": 9}),
    ("d/fifo", tarfile.FIFOTYPE, 0o600, {"uid": 1}),
    ("d/sub", tarfile.DIRTYPE, 0o2711, {"uid": 2}),
    ("d/sub/deep", tarfile.REGTYPE, 0o600, {"size": 100_000}),
    ("to-d", tarfile.SYMTYPE, 0o777, {"linkname": "/d"}),
    ("file", tarfile.REGTYPE, 0o600, {"size": 1}),
)
BINDS = {
    "plain": "data:/d",
    "read only": "data:/d:ro",
    "nocopy": "data:/d:nocopy",
    "through a link": "data:/to-d",
    "below": "data:/d/sub",
    "a file": "data:/file",
    "nothing there": "data:/nonesuch",
    "full": "full:/d",
}


def _image(engine: Engine) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, mode, more in ENTRIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, mode, 1_000_000_000
            for field, value in more.items():
                setattr(entry, field, value)
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    done = engine.http("POST", f"{API}/images/create?fromSrc=-&repo=content", buffer.getvalue())
    assert done.status == 200, done.body


def _place(engine: Engine, volume: str) -> Path:
    return Path(ask(engine, "GET", f"/volumes/{volume}").json()["Mountpoint"])


def _content(top: Path) -> dict[str, Any]:
    """All that is in a volume: kind, mode, owner, names, time, attributes and content."""
    return {str(path.relative_to(top)).replace(".", "top"): _described(path) for path in (top, *top.rglob("*"))}


def _described(path: Path) -> dict[str, Any]:
    found = path.lstat()
    shown: dict[str, Any] = {
        "mode": stat.filemode(found.st_mode),
        "owner": f"{found.st_uid}:{found.st_gid}",
        "time": found.st_mtime,
        "xattrs": {name.replace(".", "-"): os.getxattr(path, name, follow_symlinks=False).hex()
                   for name in sorted(os.listxattr(path, follow_symlinks=False))},
    }  # fmt: skip
    if stat.S_ISREG(found.st_mode):
        shown |= {"names": found.st_nlink, "size": found.st_size}
    return shown | ({"target": str(path.readlink())} if path.is_symlink() else {})


def test_copy_up(alike: Any) -> None:
    alike("copy-up", _copy_up)


def _copy_up(engine: Engine) -> Observed:
    _image(engine)
    seen: dict[str, Any] = {}
    for name, bind in BINDS.items():
        volume = bind.partition(":")[0]
        ask(engine, "POST", "/volumes/create", {"Name": volume})
        if volume == "full":
            (_place(engine, volume) / "own").touch()
            os.utime(_place(engine, volume), (1, 1))
            os.utime(_place(engine, volume) / "own", (1, 1))
        body = {"Image": "content", "Cmd": ["x"], "HostConfig": {"Binds": [bind]}}
        seen[name] = {"answer": answer(engine, "POST", "/containers/create?name=box", body)}
        if name not in ("a file", "nothing there", "nocopy"):
            seen[name]["content"] = _content(_place(engine, volume))
        else:
            seen[name]["content"] = sorted(os.listdir(_place(engine, volume)))
        ask(engine, "DELETE", "/containers/box")
        ask(engine, "DELETE", f"/volumes/{volume}")
    ask(engine, "DELETE", "/images/content")
    return seen


FROM: dict[str, dict[str, Any]] = {
    "one": {"VolumesFrom": ["first"]},
    "read only": {"VolumesFrom": ["first:ro"]},
    "read and write": {"VolumesFrom": ["first:rw"]},
    "in order": {"VolumesFrom": ["first", "second"]},
    "in the other order": {"VolumesFrom": ["second", "first"]},
    "of both modes": {"VolumesFrom": ["first:ro", "second:rw"]},
    "twice": {"VolumesFrom": ["first", "first:ro"]},
    "beside binds": {"VolumesFrom": ["first"], "Binds": ["own:/d"]},
    "beside mounts": {"VolumesFrom": ["first"], "Mounts": [{"Type": "volume", "Source": "own", "Target": "/d"}]},
    "beside memory": {"VolumesFrom": ["first"], "Tmpfs": {"/more": ""}},
    "unknown mode": {"VolumesFrom": ["first:what"]},
    "propagation": {"VolumesFrom": ["first:shared"]},
    "label": {"VolumesFrom": ["first:z"]},
    "nobody": {"VolumesFrom": ["nobody"]},
    "empty": {"VolumesFrom": [""]},
    "no name": {"VolumesFrom": [":ro"]},
}


def test_volumes_from(alike: Any) -> None:
    alike("volumes-from", _volumes_from)


def _volumes_from(engine: Engine) -> Observed:
    for name, more in (("first", "more:/more:ro"), ("second", "/usr:/usr-of-host:ro")):
        engine.docker("create", "--name", name, "-v", f"{name}:/d", "-v", more, "busybox", "true")
    seen: dict[str, Any] = {}
    for name, words in FROM.items():
        body = {"Image": "busybox", "HostConfig": words}
        made = engine.http("POST", f"{API}/containers/create?name=box", body)
        if made.status != 201:
            seen[name] = scrubbed(f"{made.status} {made.json()['message']}")
            continue
        mounts = ask(engine, "GET", "/containers/box/json").json()["Mounts"]
        seen[name] = {
            mount["Destination"]: {key: value for key, value in mount.items() if key != "Source"} for mount in mounts
        }
        ask(engine, "DELETE", "/containers/box")
    for volume in ("first", "second"):
        ask(engine, "DELETE", f"/containers/{volume}")
    for volume in ("first", "second", "more", "own"):
        ask(engine, "DELETE", f"/volumes/{volume}")
    return seen
