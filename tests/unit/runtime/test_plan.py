"""What is planned for a root file system, and how options and users are read; nothing is mounted."""

import os
from pathlib import Path

import pytest

from cove.kernel import mounts, overlay
from cove.kernel.cgroups import Hierarchy, Layout
from cove.oci.runtime import Spec
from cove.runtime import devices, mount_options, rootfs, seal, user
from cove.runtime.rootfs import BindMount, CgroupMount, Mounting, NewFileSystem

_LAYOUT = Layout((Hierarchy("/sys/fs/cgroup", 2, (), ""),), unified=True)


def _spec(**changes: object) -> Spec:
    return {  # type: ignore[typeddict-item]
        "ociVersion": "1.2.0",
        "process": {"args": ["true"], "cwd": "/"},
        "root": {"path": "/r"},
        **changes,
    }


def test_options_are_sorted_by_who_they_are_for() -> None:
    options = mount_options.parse(["nosuid", "noexec", "ro", "rw", "size=65536k", "mode=755", "rprivate", "sync"])
    assert options.set == mounts.NO_SETUID | mounts.NO_EXECUTE
    assert options.parameters == (("size", "65536k"), ("mode", "755"), ("sync", None))
    assert (options.propagation, options.recursive_propagation) == (mounts.PRIVATE, True)
    assert not options.bind


def test_access_times_exclude_each_other() -> None:
    options = mount_options.parse(["noatime", "strictatime"])
    assert (options.set, options.clear) == (mounts.STRICT_ACCESS_TIME, mounts.ACCESS_TIMES)
    assert mount_options.parse(["strictatime", "relatime"]).set == 0


def test_recursive_options() -> None:
    options = mount_options.parse(["rbind", "rro", "rslave"])
    assert (options.bind, options.recursive, options.recursive_set) == (True, True, mounts.READ_ONLY)
    assert (options.set, options.propagation, options.recursive_propagation) == (0, mounts.SLAVE, True)


def test_mounts_become_operations_in_their_order() -> None:
    entries = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "data/../data/", "type": "bind", "source": "/src", "options": ["rbind"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup"},
    ]
    operations = rootfs.plan(_spec(mounts=entries), _LAYOUT, "/p/id")[:3]
    inner = [operation.operation for operation in operations if isinstance(operation, Mounting)]
    assert [type(operation) for operation in inner] == [NewFileSystem, BindMount, CgroupMount]
    assert isinstance(inner[1], BindMount)
    assert inner[1].destination == "/data"
    assert inner[1].options.recursive


@pytest.mark.parametrize("destination", ["/", "", "/..", "/a/.."])
def test_nothing_is_mounted_on_the_root(destination: str) -> None:
    entry = {"destination": destination, "type": "tmpfs", "source": "tmpfs"}
    with pytest.raises(ValueError, match="mounts"):
        rootfs.plan(_spec(mounts=[entry]), _LAYOUT, "/p/id")


def test_devices_asked_for_take_the_place_of_defaults() -> None:
    own = {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}
    fuse = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}
    nodes = [entry for entry in devices.plan(_spec(linux={"devices": [own, fuse]})) if isinstance(entry, devices.Node)]
    assert [node.path for node in nodes].count("/dev/null") == 1
    assert nodes[-1].device == os.makedev(10, 229)


def test_a_dev_of_the_host_is_left_alone() -> None:
    entry = {"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"]}
    assert devices.plan(_spec(mounts=[entry])) == []


def test_an_unknown_kind_of_device_is_refused() -> None:
    with pytest.raises(ValueError, match=r"linux\.devices: /dev/x"):
        devices.node({"path": "/dev/x", "type": "q"})


@pytest.mark.parametrize(
    ("name", "kinds", "fits"),
    [
        ("net.core.somaxconn", ["network"], True),
        ("net/core/somaxconn", ["network"], True),
        ("net.core.somaxconn", [], False),
        ("kernel.shmmax", ["ipc"], True),
        ("kernel.shmmax", ["network"], False),
        ("kernel.panic", ["network", "ipc", "uts"], False),
        ("vm.swappiness", ["network", "ipc", "uts"], False),
    ],
)
def test_sysctls_are_of_namespaces_that_the_container_has(name: str, kinds: list[str], fits: bool) -> None:
    linux = {"sysctl": {name: "1"}, "namespaces": [{"type": kind} for kind in kinds]}
    if fits:
        assert seal.plan(_spec(linux=linux)) == [seal.Sysctl(name, "1")]
    else:
        with pytest.raises(ValueError, match="sysctl"):
            seal.plan(_spec(linux=linux))


def test_overlay_options_are_relative_and_escaped() -> None:
    options = overlay.options(["/d/l/a:b", "/d/l/c,d"], "/d/c/u", "/d/c/w", "/d")
    assert options == "lowerdir=l/a\\:b:l/c\\,d,upperdir=c/u,workdir=c/w"


@pytest.fixture
def root(tmp_path: Path) -> int:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "# comment\n\nbroken:x:zz:1\nroot:x:0:0:root:/root:/bin/sh\n7:x:70:71::/seven:\n"
        "ann:x:1000:1001::/ann:\nshort:x:5:6\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nwheel:x:10:root,ann\naudio:x:11:ann\nbad:x:y:ann\n")
    return os.open(tmp_path, os.O_PATH)


@pytest.mark.parametrize(
    ("wanted", "identity"),
    [
        ({}, (0, 0, (0, 10), "/root")),
        ({"uid": 1000, "gid": 3, "additionalGids": [9, 3]}, (1000, 3, (3, 9), "/ann")),
        ({"username": "ann"}, (1000, 1001, (1001, 10, 11), "/ann")),
        ({"username": "1000"}, (1000, 1001, (1001, 10, 11), "/ann")),
        ({"username": "ann:wheel"}, (1000, 10, (10,), "/ann")),
        ({"username": "ann:77"}, (1000, 77, (77,), "/ann")),
        ({"username": ":audio"}, (0, 11, (11,), "/root")),
        ({"username": "7"}, (70, 71, (71,), "/seven")),
        ({"username": "70"}, (70, 71, (71,), "/seven")),
        ({"username": "short"}, (5, 6, (6,), "/")),
        ({"username": "4711"}, (4711, 0, (0,), "/")),
        ({"username": "ann", "additionalGroups": ["audio", "99"]}, (1000, 1001, (1001, 10, 11, 99), "/ann")),
    ],
)
def test_users(root: int, wanted: dict[str, object], identity: tuple[object, ...]) -> None:
    assert tuple(user.resolve(root, wanted)) == identity  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"username": "bogus"}, "unable to find user bogus: no matching entries in passwd file"),
        ({"username": "ann:bogus"}, "unable to find group bogus: no matching entries in group file"),
        (
            {"username": "ann", "additionalGroups": ["bogus"]},
            "Unable to find group bogus: no matching entries in group",
        ),
        ({"username": "99999999999"}, "uids and gids must be in range 0-2147483647"),
        ({"username": "-1"}, "uids and gids must be in range 0-2147483647"),
        ({"username": "1:-1"}, "uids and gids must be in range 0-2147483647"),
        ({"uid": -5}, "uids and gids must be in range 0-2147483647"),
    ],
)
def test_users_that_cannot_be(root: int, wanted: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        user.resolve(root, wanted)  # type: ignore[arg-type]
