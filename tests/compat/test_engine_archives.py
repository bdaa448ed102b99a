"""The rules of ``cp``: what lands where, and what is refused, the same on both engines.

The stock command line is given each pair of a source and a target; a fresh container for each, so that no case
depends on another. What the command line itself decides is in ``test_cli_copies``.
"""

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.base_image import small_tar
from harness.compare import API, Observed, answer, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

TAR = {"Content-Type": "application/x-tar"}

SOURCES = (
    "/s/file",
    "/s/dir",
    "/s/dir/",
    "/s/dir/.",
    "/s/to-file",
    "/s/to-dir",
    "/s/to-dir/",
    "/s/to-dir/.",
    "/s/lost",
)

TARGETS = (
    "/t/file", "/t/file/", "/t/dir", "/t/dir/", "/t/dir/.", "/t/new", "/t/new/", "/t/new/.", "/t/to-file", "/t/to-dir",
    "/t/to-dir/", "/t/no/new", "/t/lost", "/t/file/new", "/t/up",
)  # fmt: skip

PUTS: dict[str, tuple[str, bytes]] = {
    "no path": ("", small_tar({"a": ""})),
    "missing": ("path=/t/nonesuch", small_tar({"a": ""})),
    "a file": ("path=/t/file", small_tar({"a": ""})),
    "below a file": ("path=/t/file/x", small_tar({"a": ""})),
    "through a link": ("path=/t/to-dir", small_tar({"a": ""})),
    "a lost link": ("path=/t/lost", small_tar({"a": ""})),
    "a relative path": ("path=t/dir", small_tar({"a": ""})),
    "dots": ("path=/t/../t/./dir", small_tar({"a": ""})),
    "out of the root": ("path=/../../t/dir", small_tar({"a": ""})),
    "no archive": ("path=/t", b"this is no archive" * 100),
    "nothing": ("path=/t", b""),
    "file over directory": ("path=/t", small_tar({"dir": ""})),
    "file over full directory": ("path=/t", small_tar({"full": ""})),
    "file over directory, refused": ("path=/t&noOverwriteDirNonDir=1", small_tar({"dir": ""})),
    "file over directory, allowed": ("path=/t&noOverwriteDirNonDir=0", small_tar({"dir": ""})),
    "directory over file": ("path=/t", small_tar({"file/in": ""})),
    "directory over file, refused": ("path=/t&noOverwriteDirNonDir=true", small_tar({"file/in": ""})),
    "read-only": ("path=/fixed", small_tar({"a": ""})),
    "tmpfs": ("path=/scratch", small_tar({"a": ""})),
    "volume": ("path=/volume", small_tar({"a": ""})),
    "missing parents": ("path=/t", small_tar({"deep/er/a": ""})),
    "entry out of the target": ("path=/t/dir", small_tar({"../escaped": ""})),
    "user": ("path=/t&copyUIDGID=true", small_tar({"owned": ""})),
}

STATS = (
    "/", ".", "", "/s", "/s/", "/s/.", "/s/file", "/s/file/", "/s/file/.", "/s/dir", "/s/to-file", "/s/to-dir",
    "/s/to-dir/", "/s/to-dir/.", "/s/lost", "/s/lost/", "/s/loop", "/s/loop/x", "/s/up", "/s/file/x", "/s/setuid",
    "/s/fifo", "/dev/null", "/etc/hosts", "/nonesuch", "s/dir/../file", "/../../s/file", "/proc/self/exe",
)  # fmt: skip


@pytest.fixture(scope="module")
def tree() -> bytes:
    """What each container has: sources in /s, targets in /t."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in (("s", 0o755), ("s/dir", 0o750), ("s/dir/sub", 0o755), ("t", 0o755), ("t/dir", 0o755)):
            _add(tar, name, tarfile.DIRTYPE, mode)
        _add(tar, "t/full", tarfile.DIRTYPE, 0o755)
        for name, mode in (
            ("s/file", 0o640), ("s/dir/in", 0o644), ("s/dir/sub/deep", 0o600), ("s/setuid", 0o4755), ("t/file", 0o644),
            ("t/full/in", 0o644),
        ):  # fmt: skip
            _add(tar, name, tarfile.REGTYPE, mode, data=name.encode())
        for name, target in (
            ("s/to-file", "file"), ("s/to-dir", "/s/dir"), ("s/lost", "nowhere"), ("s/loop", "loop"),
            ("s/up", "../../../s/dir"), ("t/to-file", "/t/file"), ("t/to-dir", "dir"), ("t/lost", "nowhere"),
            ("t/up", "../../../t/dir"),
        ):  # fmt: skip
            _add(tar, name, tarfile.SYMTYPE, 0o777, link=target)
        _add(tar, "s/fifo", tarfile.FIFOTYPE, 0o644)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, link: str = "", data: bytes = b"") -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size, entry.mtime = kind, mode, link, len(data), 1_000_000_000
    tar.addfile(entry, io.BytesIO(data))


@pytest.fixture(params=["created", "running"])
def state(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def _box(engine: Engine, state: str, tree: bytes) -> None:
    mounts = ["-v", "/volume", "-v", "fixed:/fixed:ro", "--tmpfs", "/scratch", "--user", "nobody:daemon"]
    engine.docker("create", "--name", "box", "--hostname", "box", *mounts, "busybox", "sleep", "600")
    if state == "running":
        engine.docker("start", "box")
    assert engine.http("PUT", f"{API}/containers/box/archive?path=/", tree, TAR).status == 200


def _tree(engine: Engine, path: str) -> dict[str, str]:
    """What there is below a path: kind, mode, owner and content or target."""
    got = engine.http("GET", f"{API}/containers/box/archive?path={path}")
    if got.status != 200:
        return {path: str(got.status)}
    with tarfile.open(fileobj=io.BytesIO(got.body)) as tar:
        return {member.name: _described(tar, member) for member in tar}


def _described(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    held = tar.extractfile(member) if member.isreg() else None
    what = held.read().decode() if held else member.linkname
    return f"{member.type!r} {member.mode & 0o7777:o} {member.uid}:{member.gid} {what}"


def test_stat(alike: Any, state: str, tree: bytes) -> None:
    def observe(engine: Engine) -> Observed:
        _box(engine, state, tree)
        return {path or "empty": _stat(engine, path) for path in STATS}

    alike(f"archive stat {state}", observe)


def _stat(engine: Engine, path: str) -> Any:
    got = engine.http("HEAD", f"{API}/containers/box/archive?path={path}")
    if got.status != 200:
        return got.status
    found = json.loads(base64.b64decode(got.headers["x-docker-container-path-stat"]))
    fixed = path.startswith("/s/") or path == "/dev/null"
    kept = {key: found[key] for key in ("name", "mode", "linkTarget")}
    return {**kept, "size": found["size"] if fixed and not found["mode"] >> 31 else "…"}


def test_get(alike: Any, state: str, tree: bytes) -> None:
    def observe(engine: Engine) -> Observed:
        _box(engine, state, tree)
        paths = [path for path in STATS if path.lstrip("/").startswith("s/")]
        return {path: {"answer": _get(engine, path), "tree": _tree(engine, path)} for path in paths}

    alike(f"archive get {state}", observe)


def _get(engine: Engine, path: str) -> str:
    got = engine.http("GET", f"{API}/containers/box/archive?path={path}")
    return f"{got.status} {scrubbed(got.json()['message']) if got.status >= 400 else got.headers['content-type']}"


def test_put(alike: Any, state: str, tree: bytes) -> None:
    def observe(engine: Engine) -> Observed:
        _box(engine, state, tree)
        for number in range(len(PUTS)):
            _fill(engine, number, tree)
        return {name: _put(engine, f"/{number:02}", *case) for number, (name, case) in enumerate(PUTS.items())}

    alike(f"archive put {state}", observe)


def _put(engine: Engine, top: str, query: str, body: bytes) -> Any:
    query = query.replace("path=/t", f"path={top}/t").replace("path=t", f"path={top[1:]}/t")
    got = engine.http("PUT", f"{API}/containers/box/archive?{query.replace('/../../t', f'/../..{top}/t')}", body, TAR)
    words = scrubbed(got.json()["message"]).replace(top, "") if got.body else ""
    return {
        "answer": f"{got.status} {words}".strip(),
        "tree": _tree(engine, f"{top}/t"),
        "volume": _tree(engine, "/volume"),
    }


def test_nobody(alike: Any) -> None:
    def observe(engine: Engine) -> Observed:
        found = {m: answer(engine, m, "/containers/nobody/archive?path=/etc") for m in ("GET", "HEAD", "PUT")}
        return {**found, "export": answer(engine, "GET", "/containers/nobody/export")}

    alike("archive nobody", observe)


@pytest.mark.parametrize("source", SOURCES)
def test_out(alike: Any, tree: bytes, source: str, tmp_path: Path) -> None:
    """To the host: each source of a container to each kind of target, a link's with ``-L`` as well."""
    flags = ("", "-L") if "/to-" in source else ("",)

    def observe(engine: Engine) -> Observed:
        _box(engine, "created", tree)
        cases = [(target, flag) for target in TARGETS for flag in flags]
        return {f"{case[0]} {case[1]}".strip(): _out(engine, tree, tmp_path, source, *case) for case in cases}

    alike("cp out", observe)


def _out(engine: Engine, tree: bytes, base: Path, source: str, target: str, flag: str) -> Any:
    place = base / engine.name / (target.replace("/", "_") + flag)
    place.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        tar.extractall(place, filter="tar")
    done = engine.docker("cp", *filter(None, [flag]), f"box:{source}", f"{place}{target}", check=False)
    found = sorted(str(path.relative_to(place / "t")) for path in (place / "t").rglob("*"))
    return {"code": done.code, "err": _said(done.err, str(place)), "tree": " ".join(found)}


@pytest.mark.parametrize("source", SOURCES)
def test_in(alike: Any, tree: bytes, source: str, tmp_path: Path) -> None:
    """From the host: each source to each kind of target of a container, below a root of its own there."""
    with tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        tar.extractall(tmp_path, filter="tar")

    def observe(engine: Engine) -> Observed:
        _box(engine, "created", tree)
        for number in range(len(TARGETS)):
            _fill(engine, number, tree)
        return {target: _in(engine, number, tmp_path, source, target) for number, target in enumerate(TARGETS)}

    alike(f"cp in, {'a directory' if source.startswith('/s/dir') else 'others'}", observe)


def _fill(engine: Engine, number: int, tree: bytes) -> None:
    """The targets once more, for one case."""
    below = _below(f"{number:02}", tree)
    assert engine.http("PUT", f"{API}/containers/box/archive?path=/", below, TAR).status == 200


def _below(top: str, tree: bytes) -> bytes:
    """The targets of the tree, and their absolute links, below another directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tree)) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for member in old:
            if member.name.partition("/")[0] == "t":
                held = old.extractfile(member) if member.isreg() else None
                link = member.linkname
                link = f"/{top}{link}" if link.startswith("/") else link.replace("../t/", f"../{top}/t/")
                _add(new, f"{top}/{member.name}", member.type, member.mode, link, held.read() if held else b"")
    return buffer.getvalue()


def _in(engine: Engine, number: int, base: Path, source: str, target: str) -> Any:
    top = f"/{number:02}"
    done = engine.docker("cp", f"{base}{source}", f"box:{top}{target}", check=False)
    found = " ".join(sorted(_tree(engine, f"{top}/t")))
    return {"code": done.code, "err": _said(done.err.replace(top, ""), str(base)), "tree": found}


def _said(text: str, place: str) -> str:
    """Without what the command line logs now and then of the pipe that it packs into."""
    return "\n".join(line for line in text.replace(place, "").splitlines() if not line.startswith("time="))
