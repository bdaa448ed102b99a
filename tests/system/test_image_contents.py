"""Looking into images, and finding out that they are damaged."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.oci_layout import Layout
from harness.registries import Served, served
from unit.images.samples import config, digest, docker_archive, tar

pytestmark = pytest.mark.needs("cove")

BASE = tar(etc__one=b"1" * 1000, etc__two=b"2" * 2000, etc__deep__three=b"3" * 4000, etc__same=b"same")
MIDDLE = tar(**{"etc__one": b"x" * 1500, "etc__.wh.two": b"", "etc__same": b"same"})
TOP = tar(**{"etc__.wh.deep": b"", "new": b"n" * 500})


@pytest.fixture
def layered(daemon: Engine, tmp_path: Path) -> Engine:
    data = docker_archive((["base:1"], [BASE]), (["top:1"], [BASE, MIDDLE, TOP]))
    (tmp_path / "images.tar").write_bytes(data)
    daemon.docker("load", "-i", str(tmp_path / "images.tar"))
    return daemon


def test_files(layered: Engine) -> None:
    out = layered.cove("image", "ls-files", "-q", "top:1").out.split()
    assert out == ["/etc", "/etc/one", "/etc/same", "/new"]
    out = layered.cove(
        "image", "ls-files", "--format", "{{.Path}} {{.Size}} {{.Layer}} {{.Mode}}", "top:1:/etc/one"
    ).out
    assert out == "/etc/one 1500 2 -rw-r--r--\n"
    assert layered.cove("image", "ls-files", "top:1").out.splitlines()[0].split()[:2] == ["MODE", "OWNER"]
    done = layered.cove("image", "ls-files", "top:1:/etc/deep/three", check=False)
    assert done.code == 1 and "/etc/deep/three: no such file or directory" in done.err
    done = layered.cove("image", "ls-files", "nonesuch", check=False)
    assert done.code == 1 and "No such image: nonesuch" in done.err


def test_diff(layered: Engine) -> None:
    lines = layered.cove("image", "diff", "base:1", "top:1").out.splitlines()
    assert lines[:-1] == [
        "D /etc/deep",
        "D /etc/deep/three (-4kB)",
        "C /etc/one (+500B)",
        "D /etc/two (-2kB)",
        "A /new (+500B)",
    ]
    assert lines[-1] == "1 added, 1 changed, 3 deleted; -5kB; 1 layer shared"
    assert (
        layered.cove("image", "diff", "top:1", "top:1").out == "0 added, 0 changed, 0 deleted; +0B; 3 layers shared\n"
    )


def test_diff_of_settings(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(BASE)
    daemon.docker("import", "-c", "ENV A=1", str(tmp_path / "root.tar"), "one")
    daemon.docker("import", "-c", "ENV A=2", "-c", "USER nobody", str(tmp_path / "root.tar"), "two")
    lines = daemon.cove("image", "diff", "one", "two").out.splitlines()
    assert lines[0].startswith("Env: [") and lines[1] == 'User: unset -> "nobody"'


def test_waste(layered: Engine) -> None:
    found = json.loads(layered.cove("image", "waste", "--format", "json", "top:1").out)
    base, middle, top = found["Layers"]
    assert (base["Size"], base["Dead"]) == (7004, 7004), "the same content again hides it too"
    assert (middle["Overwritten"], middle["Deleted"], middle["Repeated"]) == (1004, 2000, 4)
    assert (top["Size"], top["Deleted"], top["Dead"]) == (500, 4000, 0)
    assert found["Wasted"] == 7004 and found["Worst"][0] == {
        "Path": "/etc/deep/three",
        "Wasted": 4000,
        "Layers": [1, 3],
    }
    lines = layered.cove("image", "waste", "top:1").out.splitlines()
    assert "░" in lines[1] and "█" in lines[2]
    assert "7kB of 9.01kB are wasted: efficiency 22.2 %" in lines[5]


class TestVerify:
    @pytest.fixture
    def machine(self, fresh_daemon: Daemon, tmp_path: Path) -> Iterator[Daemon]:
        (tmp_path / "images.tar").write_bytes(docker_archive((["base:1"], [BASE]), (["top:1"], [BASE, MIDDLE, TOP])))
        fresh_daemon.docker("load", "-i", str(tmp_path / "images.tar"))
        yield fresh_daemon

    def test_all_is_well(self, machine: Daemon) -> None:
        out = machine.cove("image", "verify").out
        assert out.startswith("Verified 3 images, ")
        report = json.loads(machine.cove("image", "verify", "--format", "json", "top:1").out)
        assert (report["Images"], report["Layers"], report["Problems"]) == (1, 3, [])
        assert machine.cove("image", "verify", "nonesuch", check=False).code == 1

    def test_rot_is_found_and_loading_again_repairs_it(self, machine: Daemon, tmp_path: Path) -> None:
        damage(machine.data_root / "blobs/sha256" / digest(TOP)[7:])
        done = machine.cove("image", "verify", check=False)
        assert done.code == 1 and "top:1" in done.out and "base:1" not in done.out
        report = json.loads(machine.cove("image", "verify", "--format", "json", check=False).out)
        assert {problem["Kind"] for problem in report["Problems"]} <= {"layer", "blob"}
        assert machine.cove("image", "verify", "base:1").code == 0
        machine.docker("load", "-i", str(tmp_path / "images.tar"))
        assert machine.cove("image", "verify").code == 0
        assert machine.cove("image", "ls-files", "-q", "top:1:/new").out == "/new\n"

    def test_configuration_that_rotted(self, machine: Daemon, tmp_path: Path) -> None:
        blob = digest(config([BASE]))
        damage(machine.data_root / "blobs/sha256" / blob[7:])
        done = machine.cove("image", "verify", "base:1", check=False)
        assert done.code == 1 and blob[7:19] in done.out
        machine.docker("load", "-i", str(tmp_path / "images.tar"))
        assert machine.cove("image", "verify").code == 0

    def test_what_is_gone_is_named(self, machine: Daemon, tmp_path: Path) -> None:
        (machine.data_root / "blobs/sha256" / digest(config([BASE]))[7:]).unlink()
        done = machine.cove("image", "verify", check=False)
        assert done.code == 1 and "No such file or directory" in done.out
        machine.docker("load", "-i", str(tmp_path / "images.tar"))
        assert machine.cove("image", "verify").code == 0

    @pytest.mark.needs("erofs")
    def test_an_index_is_made_again_of_its_blob(self, machine: Daemon) -> None:
        layer = Path(machine.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "base:1").out.strip())
        damage(layer / "index")
        report = json.loads(machine.cove("image", "verify", "--format", "json", check=False).out)
        assert {problem["Kind"] for problem in report["Problems"]} == {"index"}
        assert machine.cove("image", "verify", "--repair").code == 0
        assert machine.cove("image", "verify").code == 0
        assert machine.cove("image", "ls-files", "-q", "base:1:/etc/one").out == "/etc/one\n"


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("driver", [pytest.param("erofs", marks=pytest.mark.needs("erofs")), "overlay2"])
def test_rot_is_found_and_pulling_again_repairs_it(fresh_daemon: Daemon, tmp_path: Path, driver: str) -> None:
    fresh_daemon.restart_with(f"--storage-driver={driver}")
    layout = Layout(tmp_path / "layout")
    layout.tag("1", layout.image([BASE, MIDDLE, TOP]))
    with served(fresh_daemon, "cove") as registry:
        name = f"{registry.host}/team/app:1"
        layout.push(fresh_daemon.netns, "1", name)
        fresh_daemon.docker("pull", name)
        fresh_daemon.cove("image", "verify")
        layer = Path(fresh_daemon.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name).out.strip())
        rotten = layer / ("tar" if driver == "erofs" else "new")
        times = rotten.stat()
        damage(rotten)
        os.utime(rotten, ns=(times.st_atime_ns, times.st_mtime_ns))
        done = fresh_daemon.cove("image", "verify", name, check=False)
        assert done.code == 1 and name in done.out
        assert driver == "erofs" or "/new: not what the layer has" in done.out
        damage(fresh_daemon.data_root / "blobs/sha256" / _uppermost_blob(fresh_daemon, registry, name)[7:])
        assert fresh_daemon.cove("image", "verify", name, check=False).code == 1
        assert "Pull complete" in fresh_daemon.docker("pull", name).out
        fresh_daemon.cove("image", "verify")
        assert fresh_daemon.cove("image", "ls-files", "-q", f"{name}:/new").out == "/new\n"


def _uppermost_blob(daemon: Daemon, registry: Served, name: str) -> str:
    body = daemon.fetch(f"http://{registry.host}/v2/team/app/manifests/1")
    return str(json.loads(body)["layers"][-1]["digest"])


def test_files_of_a_directory_that_went_are_made_again_of_its_blob(fresh_daemon: Daemon, tmp_path: Path) -> None:
    fresh_daemon.restart_with("--storage-driver=overlay2")
    (tmp_path / "images.tar").write_bytes(docker_archive((["base:1"], [BASE]), (["top:1"], [BASE, MIDDLE, TOP])))
    fresh_daemon.docker("load", "-i", str(tmp_path / "images.tar"))
    fresh_daemon.cove("image", "verify")
    layer = Path(fresh_daemon.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "base:1").out.strip())
    (layer / "etc/one").unlink()
    (layer / "more").touch()
    done = fresh_daemon.cove("image", "verify", check=False)
    assert done.code == 1 and "/etc/one: missing" in done.out
    assert "/more: not in the layer" in done.out
    assert fresh_daemon.cove("image", "verify", "--repair").code == 0
    assert fresh_daemon.cove("image", "verify").code == 0
    assert fresh_daemon.cove("image", "ls-files", "-q", "base:1:/etc/one").out == "/etc/one\n"


def damage(path: Path) -> None:
    """Turn one bit over, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
