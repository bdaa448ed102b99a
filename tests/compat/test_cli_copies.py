"""``cp`` of both command lines against one engine: what lands where, and what is refused in which words."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("root", "busybox-static")

SOURCES = ("file", "dir", "dir/.", "to-file", "to-dir", "to-dir/", "lost")
TARGETS = ("file", "file/", "dir", "dir/", "new", "new/", "to-dir", "no/new", "lost", "-")


def _tree(place: Path) -> None:
    (place / "dir" / "sub").mkdir(parents=True)
    for name in ("file", "dir/in", "dir/sub/deep"):
        (place / name).write_text(name)
    for name, target in (("to-file", "file"), ("to-dir", "dir"), ("lost", "nowhere")):
        (place / name).symlink_to(target)


def _differing(found: dict[str, dict[str, Any]]) -> list[str]:
    pairs = [(case, docker, found["cove"][case]) for case, docker in found["docker"].items()]
    return [f"{case}: docker {docker}, cove {cove}" for case, docker, cove in pairs if docker != cove]


def _names(place: Path) -> list[str]:
    return sorted(f"{path.relative_to(place)} {os.path.islink(path)}" for path in place.rglob("*"))


@pytest.mark.parametrize("flags", [(), ("-L",)])
def test_out(runner: Any, name: str, tmp_path: Path, flags: tuple[str, ...]) -> None:
    _tree(tmp_path / "s")
    runner.docker("create", "--name", name, "busybox", "true")
    assert runner.docker("cp", f"{tmp_path}/s", f"{name}:/s").code == 0
    found: dict[str, dict[str, Any]] = {"docker": {}, "cove": {}}
    for program, seen in found.items():
        for source in SOURCES if flags != ("-L",) else ("to-file", "to-dir", "lost"):
            for target in TARGETS[:-1]:
                place = tmp_path / "t"
                _tree(place)
                done = runner.run(program, "cp", *flags, f"{name}:/s/{source}", f"{place}/{target}")
                seen[f"{source} to {target}"] = (done.code, _said(done.err, str(place)), _names(place))
                shutil.rmtree(place)
    runner.docker("rm", name)
    assert _differing(found) == []


@pytest.mark.parametrize("flags", [(), ("-L",)])
def test_in(runner: Any, name: str, tmp_path: Path, flags: tuple[str, ...]) -> None:
    _tree(tmp_path / "s")
    runner.docker("create", "--name", name, "busybox", "true")
    found: dict[str, dict[str, Any]] = {"docker": {}, "cove": {}}
    for program, seen in found.items():
        for number, source in enumerate(SOURCES if flags != ("-L",) else ("to-file", "to-dir")):
            for target in TARGETS[:-1]:
                top = f"/{program}{number}{target.replace('/', '_')}"
                assert runner.docker("cp", f"{tmp_path}/s", f"{name}:{top}").code == 0
                done = runner.run(program, "cp", *flags, f"{tmp_path}/s/{source}", f"{name}:{top}/{target}")
                seen[f"{source} to {target}"] = (done.code, _said(done.err, top), _inside(runner, name, top, tmp_path))
    runner.docker("rm", name)
    assert _differing(found) == []


@pytest.mark.parametrize("user", ["", "7:8", "nobody"])
def test_owners(runner: Any, name: str, tmp_path: Path, user: str) -> None:
    """``-a`` gives what comes in to the container's user. What comes out belongs to its owner there, as Docker's manual
    has it: the stock command line ignores the flag on this way.
    """
    _tree(tmp_path / "s")
    os.chown(tmp_path / "s" / "file", 1234, 2345)
    os.chown(tmp_path / "s" / "to-file", 3456, 4567, follow_symlinks=False)
    runner.docker("create", "--name", name, *(["--user", user] if user else []), "busybox", "true")
    found: dict[str, dict[str, Any]] = {"docker": {}, "cove": {}}
    for program, seen in found.items():
        for flags in ((), ("-a",), ("--archive",)):
            words = "".join(flags)
            inside, back = f"/tmp/{program}{words}", tmp_path / f"{program}{words}"
            assert runner.run(program, "cp", *flags, f"{tmp_path}/s", f"{name}:{inside}").code == 0
            seen[f"in {words}"] = _owners(runner, name, inside)
            assert runner.run(program, "cp", *flags, f"{name}:{inside}", str(back)).code == 0
            seen[f"out {words}"] = {(path.lstat().st_uid, path.lstat().st_gid) for path in back.rglob("*")}
    for words in ("-a", "--archive"):
        assert found["docker"].pop(f"out {words}") == {(0, 0)}
        assert found["cove"][f"out {words}"] == set(found["cove"][f"in {words}"])
    runner.docker("rm", name)
    assert _differing(found) == []
    kept = {(1234, 2345), (3456, 4567)}
    assert kept <= set(found["cove"]["in "])
    assert not user or not kept & set(found["cove"]["in -a"])


def _owners(runner: Any, name: str, top: str) -> list[tuple[int, int]]:
    archive = subprocess.run(
        ["docker", "-H", runner.host, "cp", f"{name}:{top}", "-"], stdout=subprocess.PIPE, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [(member.uid, member.gid) for member in sorted(tar, key=lambda member: member.name)]


def _inside(runner: Any, name: str, top: str, base: Path) -> list[str]:
    archive = subprocess.run(
        ["docker", "-H", runner.host, "cp", f"{name}:{top}", "-"], stdout=subprocess.PIPE, check=True
    ).stdout
    listed = subprocess.run(["tar", "-tf", "-"], input=archive, stdout=subprocess.PIPE, check=True).stdout.decode()
    return sorted(line.removeprefix(top[1:]) for line in listed.splitlines())


def _said(text: str, top: str) -> str:
    lines = text.replace(top, "").replace("docker", "cove").splitlines()
    return "\n".join(line for line in lines if not line.startswith("time="))


def test_between_containers(runner: Any, name: str, tmp_path: Path) -> None:
    """What one command does is what Docker's two do."""
    _tree(tmp_path / "s")
    for end in ("a", "b"):
        runner.docker("create", "--name", f"{name}{end}", "busybox", "true")
    assert runner.docker("cp", f"{tmp_path}/s", f"{name}a:/s").code == 0
    for number, (source, target) in enumerate(
        (source, target) for source in ("file", "dir", "dir/.", "to-dir") for target in ("dir", "new", "new/", "file")
    ):
        tops = []
        for program in ("cove", "docker"):
            top = f"/{program}{number}"
            assert runner.docker("cp", f"{tmp_path}/s", f"{name}b:{top}").code == 0
            place = f"{name}b:{top}/{target}"
            if program == "cove":
                done = runner.cove("cp", f"{name}a:/s/{source}", place)
            else:
                shutil.copytree(tmp_path / "s", tmp_path / "by-hand", symlinks=True)
                done = runner.docker("cp", f"{tmp_path}/by-hand/{source}", place)
                shutil.rmtree(tmp_path / "by-hand")
            tops.append((done.code, _said(done.err, top), _inside(runner, f"{name}b", top, tmp_path)))
        assert tops[0] == tops[1], (source, target)
    assert "Could not find the file /nonesuch" in runner.cove("cp", f"{name}a:/nonesuch", f"{name}b:/x").err
    assert "No such container" in runner.cove("cp", f"{name}a:/s", "nobody:/x").err
    runner.docker("rm", f"{name}a", f"{name}b")
