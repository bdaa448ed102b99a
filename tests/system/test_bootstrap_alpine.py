"""``cove image bootstrap alpine:RELEASE`` from an apk mirror: hand-made packages, for want of a real mirror here."""

import os
import platform
import shutil
from pathlib import Path

import pytest

from harness.apk_mirror import ApkMirror
from harness.debian_mirror import directory, entry, regular
from harness.emulated import ARCHITECTURE, PLATFORM, Emulated
from harness.engine import Completed, Engine
from harness.real_packages import busybox_of

pytestmark = [
    pytest.mark.needs("cove", "busybox-static"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the mirror of this test has packages for x86_64"),
]

APK = b'#!/bin/busybox sh\nmkdir -p /lib/apk/db\necho "$@" >/lib/apk/db/installed\necho said\n'


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> ApkMirror:
    root = tmp_path_factory.mktemp("apk") / "mirror"
    return filled(ApkMirror(root), Path(shutil.which("busybox") or "").read_bytes())


def filled(made: ApkMirror, busybox: bytes) -> ApkMirror:
    link = entry("bin/sh", b"2", "/bin/busybox", 0o777)
    made.add("busybox", "1.36.1-r2", [directory("bin"), regular("bin/busybox", busybox, 0o755), link])
    made.add("alpine-baselayout", "3.6.5-r0", [directory("etc"), regular("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")])
    made.add("apk-tools", "2.14.4-r0", [directory("sbin"), regular("sbin/apk", APK, 0o755)], depends="so:libz.so.1")
    made.add("libz", "1.3_rc1-r0", [regular("lib/libz.so.1", b"old")], provides="so:libz.so.1=1.3")
    made.add("libz", "1.3-r0", [regular("lib/libz.so.1", b"new")], provides="so:libz.so.1=1.3")
    for name in ("alpine-keys", "libc-utils"):
        made.add(name, "1-r0", [regular(f"usr/share/{name}", b"")])
    made.add("tool", "2-r0", [regular("usr/bin/tool", b"a tool")], depends="so:libz.so.1>=1.2 !enemy")
    made.add("enemy", "1-r0", [regular("usr/bin/enemy", b"")])
    made.publish()
    return made


def bootstrap(daemon: Engine, mirror: ApkMirror, *flags: str, check: bool = True) -> Completed:
    where = ("--mirror", f"file:{mirror.root}", "--keyring", str(mirror.key))
    return daemon.cove("image", "bootstrap", *where, *flags, f"alpine:{mirror.release}", check=check)


def test_packages_are_installed_by_apk_in_a_container(daemon: Engine, mirror: ApkMirror) -> None:
    ids = [bootstrap(daemon, mirror, "--include", "tool", "-q", "-t", name).out for name in ("alp:1", "alp:2")]
    assert ids[0] == ids[1] and ids[0].startswith("sha256:")
    look = "cat /lib/apk/db/installed /lib/libz.so.1 /usr/bin/tool; ls -a / | grep cove"
    seen = daemon.docker("run", "--rm", "alp:1", "/bin/busybox", "sh", "-c", look, check=False).out
    assert seen.startswith("add --root / --initdb --no-network") and "tool.apk" in seen
    assert seen.endswith("newa tool"), seen
    daemon.docker("rmi", "alp:1", "alp:2")


def test_files_alone(daemon: Engine, mirror: ApkMirror) -> None:
    bootstrap(daemon, mirror, "--variant", "distroless", "--include", "tool", "-t", "few")
    label = daemon.docker("inspect", "-f", '{{index .Config.Labels "cove.bootstrap.packages"}}', "few").out
    assert label.split() == ["libz=1.3-r0", "tool=2-r0"]
    daemon.docker("rmi", "few")


@pytest.mark.needs("emulator", "package-mirror")
def test_scripts_of_another_processor_run_by_an_emulator(tmp_path: Path) -> None:
    mirror = filled(ApkMirror(tmp_path / "mirror", architecture="ppc64le"), busybox_of(ARCHITECTURE))
    daemon = Emulated(f"cove-test-{os.getpid()}-emulated")
    try:
        daemon.start()
        refused = bootstrap(daemon, mirror, "--arch", "s390x", check=False)
        assert refused.code == 1 and "cannot run programs of linux/s390x" in refused.err
        bootstrap(daemon, mirror, "--arch", ARCHITECTURE, "-t", "alp:1")
        look = ("cat", "/lib/apk/db/installed")
        seen = daemon.docker("run", "--rm", "--platform", PLATFORM, "alp:1", "/bin/busybox", *look).out
        assert seen.startswith("add --root / --initdb --no-network")
        assert daemon.docker("inspect", "-f", "{{.Os}}/{{.Architecture}}", "alp:1").out == f"{PLATFORM}\n"
    finally:
        daemon.close()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--variant", "slim"), "alpine has no variant slim"),
        (("--variant", "distroless"), "include is needed"),
        (("--include", "nothing"), "there is no package nothing"),
        (("--include", "tool,enemy"), "exclude each other"),
        (("--snapshot", "v9.9=2026-01-01T00:00:00Z"), "an index of Alpine has no date"),
        (("--keyring", "/nowhere"), "there are no keys of Alpine at /nowhere"),
    ],
)
def test_what_cannot_be_made(daemon: Engine, mirror: ApkMirror, flags: tuple[str, ...], message: str) -> None:
    done = bootstrap(daemon, mirror, *flags, check=False)
    assert done.code == 1 and message in done.err, done


def test_what_was_changed_is_refused(daemon: Engine, tmp_path: Path) -> None:
    mirror = ApkMirror(tmp_path / "mirror")
    mirror.add("tool", "1-r0", [regular("usr/bin/tool", b"a tool")])
    mirror.publish()
    flags = ("--variant", "distroless", "--include", "tool")
    package = mirror.directory / "tool-1-r0.apk"
    good = package.read_bytes()
    package.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    done = bootstrap(daemon, mirror, *flags, check=False)
    assert done.code == 1 and "tool 1-r0" in done.err, done
    package.write_bytes(good)
    stranger = ApkMirror(tmp_path / "stranger")
    done = daemon.cove(
        "image", "bootstrap", "--mirror", f"file:{mirror.root}", "--keyring", str(stranger.key), *flags, "alpine:v9.9",
        check=False,
    )  # fmt: skip
    assert done.code == 1 and "none of the keys" in done.err, done
