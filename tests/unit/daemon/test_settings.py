"""The daemon's configuration: flags over file over defaults, and errors that name the flag or key."""

import json
from pathlib import Path
from typing import Any

import pytest

from cove.daemon import cgroup_driver, command_line, configuration, registry_entries
from cove.daemon.options import OPTIONS, WITHOUT_FLAG
from cove.daemon.reload import Reload, attributes, without_effect
from cove.daemon.settings import AddressPool, Runtime, Settings
from cove.errors import InvalidArgument
from cove.wire.host_config import Ulimit


def load(tmp_path: Path, arguments: str = "", content: Any = None, program: str = "coved") -> Settings:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps(content if content is not None else {}))
    return configuration.load(command_line.parse([*arguments.split(), "--config-file", str(file)], program))


def refusal(tmp_path: Path, arguments: str = "", content: Any = None) -> str:
    with pytest.raises(InvalidArgument) as refused:
        load(tmp_path, arguments, content)
    return refused.value.message.replace(str(tmp_path), "")


def test_defaults(tmp_path: Path) -> None:
    made = load(tmp_path)
    assert made == Settings()
    assert (made.data_root, made.listen_addresses()) == ("/var/lib/cove", ("unix:///run/cove/cove.sock",))


def test_the_default_socket_lies_in_the_exec_root(tmp_path: Path) -> None:
    assert load(tmp_path, "--exec-root /x").listen_addresses() == ("unix:///x/cove.sock",)


def test_dockerd_listens_where_docker_looks_and_leaves_dockers_data_alone(tmp_path: Path) -> None:
    made = load(tmp_path, program="dockerd")
    assert made.listen_addresses() == ("unix:///var/run/docker.sock",)
    assert (made.pidfile, made.data_root) == ("/var/run/docker.pid", "/var/lib/cove")
    assert load(tmp_path, "-H tcp://a:1", program="dockerd").hosts == ("tcp://a:1",)
    assert load(tmp_path, content={"hosts": ["fd://"]}, program="dockerd").hosts == ("fd://",)
    assert command_line.parse([], "dockerd").default_config_file == "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("arguments", "content", "changes"),
    [
        ("--data-root /d", {"exec-root": "/e"}, {"data_root": "/d", "exec_root": "/e"}),
        ("-H tcp://a:1 -H unix:///s", {}, {"hosts": ("tcp://a:1", "unix:///s")}),
        ("-H localhost:1", {}, {"hosts": ("tcp://localhost:1",)}),
        ("", {"hosts": ["fd://"]}, {"hosts": ("fd://",)}),
        ("-D -l warn", {}, {"debug": True, "log_level": "warn"}),
        ("--debug=false --icc=false", {}, {"debug": False, "icc": False}),
        ("", {"debug": True, "shutdown-timeout": 3}, {"debug": True, "shutdown_timeout": 3}),
        ("--shutdown-timeout 4 --init", {}, {"shutdown_timeout": 4, "init": True}),
        ("--label a=b --label c=", {}, {"labels": ("a=b", "c=")}),
        ("-G staff -p /p --cgroup-parent /x/y", {}, {"group": "staff", "pidfile": "/p", "cgroup_parent": "/x/y"}),
        ("-b br1 --bip 10.0.0.1/24", {}, {"bridge": "br1", "bip": "10.0.0.1/24"}),
        ("--default-ulimit nofile=1:2", {}, {"default_ulimits": {"nofile": Ulimit(name="nofile", soft=1, hard=2)}}),
        (
            "",
            {"default-ulimits": {"nproc": {"Name": "nproc", "Hard": 7, "Soft": 6}}},
            {"default_ulimits": {"nproc": Ulimit(name="nproc", soft=6, hard=7)}},
        ),
        ("--default-shm-size 1m", {}, {"default_shm_size": 1 << 20}),
        ("", {"default-shm-size": "1m"}, {"default_shm_size": "1m"}),
        (
            "--add-runtime crun=/usr/bin/crun --add-runtime x=/y --default-runtime crun",
            {},
            {"runtimes": {"crun": Runtime("/usr/bin/crun"), "x": Runtime("/y")}, "default_runtime": "crun"},
        ),
        (
            "",
            {"runtimes": {"k": {"path": "/k", "runtimeArgs": ["--debug"]}}},
            {"runtimes": {"k": Runtime("/k", ("--debug",))}},
        ),
        (
            "--default-address-pool base=10.1.0.0/16,size=24",
            {},
            {"default_address_pools": (AddressPool("10.1.0.0/16", 24),)},
        ),
        ("--registry-mirror https://m", {}, {"registry_mirrors": ("https://m/",)}),
        ("--feature a=true --feature b=false", {}, {"features": {"a": True, "b": False}}),
        (
            "--default-network-opt bridge=a=1 --default-network-opt bridge=b=2",
            {},
            {"default_network_opts": {"bridge": {"a": "1", "b": "2"}}},
        ),
        ("--log-driver local --log-opt max-size=1m", {}, {"log_driver": "local", "log_opts": {"max-size": "1m"}}),
        ("--live-restore --userland-proxy=false --containerd /c --raw-logs", {}, {"containerd": "/c"}),
    ],
)
def test_what_is_given(tmp_path: Path, arguments: str, content: dict[str, Any], changes: dict[str, Any]) -> None:
    made = load(tmp_path, arguments, content)
    assert {name: getattr(made, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("localhost:5000", "localhost:5000"),
        ("http://plain.example:80", "plain.example:80"),
        ("HTTPS://x", "x"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("fd00::/8", "fd00::/8"),
        ("[::1]:5000", "[::1]:5000"),
        ("::1", "::1"),
    ],
)
def test_insecure_registries(given: str, meant: str) -> None:
    assert registry_entries.insecure(given) == meant


def test_every_setting_has_a_flag_or_is_the_files_alone() -> None:
    assert [option.name for option in OPTIONS if option.name in WITHOUT_FLAG] == []
    assert {option.name for option in OPTIONS} | WITHOUT_FLAG == set(Settings.__struct_fields__)


FILE = "unable to configure the Docker daemon with file /daemon.json: "
ALONE = FILE + "configuration validation from file failed: "
MERGED = FILE + "merged configuration validation from file and command line flags failed: "
DRIVER = "error initializing graphdriver: driver not supported: "


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (
            "-D -H unix:///s",
            {"debug": False, "hosts": []},
            FILE + "the following directives are specified both as a flag and in the configuration file: "
            "hosts: (from flag: [unix:///s], from file: []), debug: (from flag: true, from file: false)",
        ),
        (
            "",
            {"data_root": "/x", "motor": 1},
            FILE + "the following directives don't match any configuration option: data_root, motor",
        ),
        ("", {"debug": "yes"}, FILE + "Expected `bool`, got `str` - at `$.debug`"),
        ("", {"hosts": "tcp://a:1"}, FILE + "Expected `array`, got `str` - at `$.hosts`"),
        ("", {"labels": [1]}, FILE + "Expected `str`, got `int` - at `$.labels[0]`"),
        ("", {"labels": ["a"]}, ALONE + "bad attribute format: a"),
        ("", {"dns": ["1.1"]}, ALONE + "1.1 is not an ip address"),
        ("", {"storage-driver": "zfs"}, f"{DRIVER}'zfs' is not one of erofs, overlay2"),
        ("-l loud", {}, "unable to parse logging level: loud"),
        ("--log-format xml", {}, "invalid log format: xml"),
        ("--data-root=", {}, MERGED + "data-root must be an absolute path: ''"),
        ("", {"exec-root": ""}, ALONE + "exec-root must be an absolute path: ''"),
        ("--max-concurrent-downloads -1", {}, MERGED + "invalid max concurrent downloads: -1"),
        ("--max-download-attempts 0", {}, MERGED + "invalid max download attempts: 0"),
        ("--registry-silence 0", {}, MERGED + "registry-silence must be at least a second: 0"),
        ("--default-runtime nope", {}, MERGED + "specified default runtime 'nope' does not exist"),
        ("--default-ipc-mode x", {}, MERGED + 'default IPC mode setting (x) is invalid; use "shareable" or "private"'),
        (
            "--default-cgroupns-mode x",
            {},
            MERGED + 'default cgroup namespace mode (x) is invalid; use "host" or "private"',
        ),
        ("--label a=1 --label b=1 --label a=2", {}, "conflict labels for a=2 and a=1"),
        ("--log-driver x", {}, 'failed to set log opts: error looking up logging plugin x: plugin "x" not found'),
        ("--exec-opt x", {}, "invalid exec-opt (x): must be formatted 'opt=value'"),
        ("--bip 1.2.3.4", {}, MERGED + "bip: invalid CIDR address: 1.2.3.4"),
        ("--fixed-cidr-v6 10.0.0.0/8", {}, "invalid fixed-cidr-v6 '10.0.0.0/8': it must be of IPv6"),
        ("", {"fixed-cidr": "fd00::/64"}, "invalid fixed-cidr 'fd00::/64': it must be of IPv4"),
        (
            "--bip fd00::1/64",
            {},
            "invalid bip 'fd00::1/64': it must be an IPv4 address of a host in a subnet of /30 or larger",
        ),
        ("--metrics-addr x", {}, "failed to start metrics server: address x: missing port in address"),
        ("", {"dns-search": ["1"]}, ALONE + "1 is not a valid domain"),
        ("--oom-score-adjust 2000", {}, MERGED + "invalid value 2000, range for oom-score-adjust is [-1000, 1000]"),
        (
            "--cgroup-parent /a/../..",
            {},
            MERGED + "cgroup-parent must be an absolute path below the cgroup root: /a/../..",
        ),
        (
            "--exec-opt native.cgroupdriver=systemd --cgroup-parent /a",
            {},
            MERGED + 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"',
        ),
        (
            "--exec-opt native.cgroupdriver=other",
            {},
            "native.cgroupdriver option other not supported",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, arguments: str, content: dict[str, Any], message: str) -> None:
    assert refusal(tmp_path, arguments, content) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--nonesuch", "unknown flag: --nonesuch"),
        ("extra", '"coved" accepts no arguments.'),
        ("-H ftp://x", 'invalid argument "ftp://x" for "-H, --host" flag: invalid bind address (ftp://x)'),
        ("-H unix://s", 'invalid argument "unix://s" for "-H, --host" flag: invalid bind address (unix://s)'),
        ("--label a", 'invalid argument "a" for "--label" flag: bad attribute format: a'),
        ("--icc=maybe", 'invalid argument "maybe" for "--icc" flag: strconv.ParseBool: parsing "maybe"'),
        ("--mtu x", 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        ("--default-ulimit nofile", 'for "--default-ulimit" flag: invalid ulimit argument: nofile'),
        ("--default-ulimit nofile=3:2", "ulimit soft limit must be less than or equal to hard limit: 3 > 2"),
        ("--add-runtime x", 'for "--add-runtime" flag: invalid runtime argument: x'),
        ("--add-runtime runc=/x", "runtime name 'runc' is reserved"),
        ("--registry-mirror x", 'for "--registry-mirror" flag: invalid mirror: unsupported scheme "" in "x"'),
        ("--default-address-pool x", "invalid field 'x' must be a key=value pair"),
        ("--default-address-pool base=10.0.0.0/16", "size is missing in 'base=10.0.0.0/16'"),
        ("--default-address-pool base=10.0.0.0/16,size=8", "invalid pool size 8 for 10.0.0.0/16"),
        ("--default-shm-size x", "for \"--default-shm-size\" flag: invalid size: 'x'"),
        ("--node-generic-resource x", "invalid node-generic-resource format `x` expected `name=value`"),
        ("--shutdown-timeout", "flag needs an argument: --shutdown-timeout"),
    ],
)
def test_flags_that_are_refused(arguments: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        command_line.parse(arguments.split())
    assert message in refused.value.message
    assert refused.value.message.endswith("\nSee 'coved --help'.")


@pytest.mark.parametrize("content", [[], 1, "x"])
def test_a_file_that_is_no_object(tmp_path: Path, content: Any) -> None:
    assert refusal(tmp_path, content=content) == FILE + "it must hold a JSON object"


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe{}", b"[" * 100_000])
def test_a_file_that_is_no_json(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(text)
    with pytest.raises(InvalidArgument, match=f"unable to configure the Docker daemon with file {file}: "):
        configuration.load(command_line.parse(["--config-file", str(file)]))


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text(" \n")
    assert configuration.load(command_line.parse(["--config-file", f"{tmp_path}/empty.json"])) == Settings()


def test_a_file_that_is_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=f"with file {tmp_path}/x: open {tmp_path}/x: no such file or directory"):
        configuration.load(command_line.parse(["--config-file", f"{tmp_path}/x"]))


def test_the_help_names_every_flag_and_its_default() -> None:
    shown = " ".join(command_line.help_text("dockerd").split())
    assert shown.startswith("Usage: dockerd [OPTIONS]")
    for option in OPTIONS:
        assert f"--{option.flag} " in shown and option.help in shown
    assert '(default "/var/lib/cove")' in shown and "(default 15)" in shown


def test_what_has_no_effect_yet_is_told() -> None:
    assert without_effect(Settings()) == []
    assert without_effect(Settings(debug=True, storage_opts=("size=1",), metrics_addr=":1")) == [
        "metrics-addr",
        "storage-opts",
    ]


def test_a_reload_takes_what_can_change_and_leaves_the_rest() -> None:
    reload = Reload(Settings())
    heard: list[Settings] = []
    reload.listeners.append(heard.append)
    reload.to(Settings(debug=True, labels=("a=b",), data_root="/elsewhere"))
    assert reload.settings == Settings(debug=True, labels=("a=b",))
    assert heard == [reload.settings]
    said = attributes(reload.settings)
    assert (said["debug"], said["labels"], said["max-concurrent-downloads"]) == ("true", '["a=b"]', "3")
    assert "data-root" not in said


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("", ("/cove", False)),
        ("--cgroup-parent /x", ("/x", False)),
        ("--exec-opt native.cgroupdriver=systemd", ("system.slice", True)),
        ("--exec-opt native.cgroupdriver=systemd --cgroup-parent a-b.slice", ("a-b.slice", True)),
        ("--exec-opt native.cgroupdriver=cgroupfs --exec-opt native.cgroupdriver=systemd", ("/cove", False)),
    ],
)
def test_which_groups_containers_have(tmp_path: Path, arguments: str, names: tuple[str, bool]) -> None:
    assert cgroup_driver.names(load(tmp_path, arguments)) == names
