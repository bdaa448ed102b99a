"""What dockerd says of a configuration that cannot be, and what our daemon says when it is started in its place."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.engine import BIN, unmount_below
from harness.netns import NetworkNamespace

pytestmark = [pytest.mark.needs("cove", "dockerd", "root"), pytest.mark.xdist_group("dockerd")]


@pytest.fixture(scope="module")
def namespace() -> Iterator[NetworkNamespace]:
    made = NetworkNamespace(f"cove-test-{os.getpid()}-words")
    yield made
    made.delete()


FOUND_AT_THE_START = (
    "--iptables=false --icc=false",
    "--bridge=none --bip 10.1.1.1/24",
    "--insecure-registry a/b",
    "--insecure-registry x://y",
    "--insecure-registry a:b:c",
    "--insecure-registry a:99999",
    "--allow-nondistributable-artifacts a/b",
    "--default-gateway 10.9.9.9 --bip 10.1.1.1/24",
    "--userns-remap=nobody",
    "--userns-remap=no-such-user",
    "--userns-remap=root:no-such-group",
    "--userns-remap=54321",
    "--exec-opt native.cgroupdriver=nope",
    "--log-opt x=y",
    "--log-opt mode=x",
    "--log-driver syslog --log-opt syslog-address=x",
    "--seccomp-profile /no/such",
    "--group nosuch",
    "--storage-opt=x",
    "--storage-opt=overlay2.nope=1",
)
"""What Docker's daemon refuses once it sets up what the configuration is about, and ours before."""

NETWORKS = 'Error initializing network controller: Error creating default "bridge" network: '


def words(namespace: NetworkNamespace, program: str, place: Path, arguments: str, content: Any) -> str:
    """The last words of a start that must fail."""
    file = place / "daemon.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    roots = [f"--data-root={place}/data", f"--exec-root={place}/exec", f"--pidfile={place}/pid"]
    command = [program, *roots, "--config-file", str(file), *arguments.split()]
    done = subprocess.run(namespace.command(command), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    text = done.stderr.replace("Status: ", "").replace("failed to start daemon: ", "").removeprefix("coved: ")
    lines = [line for line in text.splitlines() if line and not line.startswith(("See '", "time="))]
    return lines[-1].replace(str(place), "")


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        ("-l loud", {}),
        ("--label a", {}),
        ("--dns 1.1", {}),
        ("--ip x", {}),
        ("--default-gateway x", {}),
        ("--mtu x", {}),
        ("--icc=maybe", {}),
        ("--shutdown-timeout x", {}),
        ("--max-concurrent-downloads -1", {}),
        ("--max-download-attempts 0", {}),
        ("--default-cgroupns-mode x", {}),
        ("--default-ipc-mode x", {}),
        ("--default-ulimit nofile", {}),
        ("--default-shm-size x", {}),
        ("--add-runtime x", {}),
        ("--add-runtime runc=/x", {}),
        ("--default-runtime nope", {}),
        ("--registry-mirror x", {}),
        ("--default-address-pool x", {}),
        ("--node-generic-resource x", {}),
        ("--node-generic-resource gpu=one --node-generic-resource gpu=2", {}),
        ("--node-generic-resource gpu=1 --node-generic-resource gpu=2", {}),
        ("--label a=b --label b=b --label a=c", {}),
        ("", {"labels": ["a=b", "a=c"]}),
        ("--default-ulimit x=1", {}),
        ("--oom-score-adjust x", {}),
        ("--dns-search a/b", {}),
        ("--nonesuch", {}),
        ("", {"motor": 1}),
        ("-D", {"debug": False}),
        ("-H unix:///x", {"hosts": ["unix:///a", "unix:///b"]}),
    ],
)
def test_words_of_refusal(namespace: NetworkNamespace, tmp_path: Path, arguments: str, content: Any) -> None:
    ours = words(namespace, str(BIN / "coved"), tmp_path, arguments, content)
    assert ours == words(namespace, "dockerd", tmp_path, arguments, content)
    assert ours == words(namespace, str(BIN / "coved"), tmp_path, f"--validate {arguments}", content)


NOT_OURS = {
    "--api-cors-header",  # gone since Docker 28
    "--rootless",  # what it is told of is done by another program
}


def test_every_flag_of_dockerd_is_known() -> None:
    docker, ours = (flags_of(program) for program in ("dockerd", str(BIN / "coved")))
    assert docker - ours == NOT_OURS


def flags_of(program: str) -> set[str]:
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", shown, re.MULTILINE))


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory in which containerd's sockets have names that the kernel takes."""
    with tempfile.TemporaryDirectory(prefix="cove-test-", dir="/tmp") as made:
        yield Path(made)
        unmount_below(Path(made))  # Docker's daemon leaves its data root mounted when it cannot start


@pytest.mark.parametrize("arguments", FOUND_AT_THE_START)
def test_words_of_a_start(namespace: NetworkNamespace, short_path: Path, arguments: str) -> None:
    ours = words(namespace, str(BIN / "coved"), short_path, arguments, {})
    assert ours == words(namespace, str(BIN / "coved"), short_path, f"{arguments} --validate", {})
    docker = words(namespace, "dockerd", short_path, arguments, {})
    assert ours == docker.removeprefix(NETWORKS)


def test_a_storage_driver_that_is_none(namespace: NetworkNamespace, short_path: Path) -> None:
    """Which there are is said besides: Docker's names are not all here."""
    ours = words(namespace, str(BIN / "coved"), short_path, "-s nope", {})
    assert ours == words(namespace, str(BIN / "coved"), short_path, "-s nope --validate", {})
    docker = words(namespace, "dockerd", short_path, "-s nope", {})
    assert docker == "error initializing graphdriver: driver not supported"
    assert ours == f"{docker}: 'nope' is not one of erofs, overlay2"
