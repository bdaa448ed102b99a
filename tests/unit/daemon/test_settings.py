"""The daemon's settings: flags over file over defaults, and errors that name the flag or key."""

import json
from pathlib import Path
from typing import Any

import pytest

from cove.daemon import settings
from cove.daemon.settings import Settings
from cove.errors import InvalidArgument


def load(tmp_path: Path, arguments: str = "", content: Any = None) -> Settings:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps(content if content is not None else {}))
    return settings.load(vars(settings.parser().parse_args([*arguments.split(), "--config-file", str(file)])))


def refusal(tmp_path: Path, arguments: str = "", content: Any = None) -> str:
    with pytest.raises(InvalidArgument) as refused:
        load(tmp_path, arguments, content)
    return refused.value.message


def test_defaults(tmp_path: Path) -> None:
    made = load(tmp_path)
    assert made == Settings()
    assert (made.data_root, made.listen_addresses()) == ("/var/lib/cove", ("unix:///run/cove/cove.sock",))


def test_the_default_socket_lies_in_the_exec_root(tmp_path: Path) -> None:
    assert load(tmp_path, "--exec-root /x").listen_addresses() == ("unix:///x/cove.sock",)


@pytest.mark.parametrize(
    ("arguments", "content", "changes"),
    [
        ("--data-root /d", {"exec-root": "/e"}, {"data_root": "/d", "exec_root": "/e"}),
        ("-H tcp://a:1 -H unix:///s", {}, {"hosts": ("tcp://a:1", "unix:///s")}),
        ("", {"hosts": ["fd://"]}, {"hosts": ("fd://",)}),
        ("-D -l warn", {}, {"debug": True, "log_level": "warn"}),
        ("--no-debug", {}, {"debug": False}),
        ("", {"debug": True, "shutdown-timeout": 3}, {"debug": True, "shutdown_timeout": 3}),
        ("--shutdown-timeout 4 --init", {}, {"shutdown_timeout": 4, "init": True}),
        ("--label a=b --label c=", {}, {"labels": ("a=b", "c=")}),
        ("-G staff -p /p --cgroup-parent /x/y", {}, {"group": "staff", "pidfile": "/p", "cgroup_parent": "/x/y"}),
        ("-b br1 --bip 10.0.0.1/24", {}, {"bridge": "br1", "bip": "10.0.0.1/24"}),
    ],
)
def test_what_is_given(tmp_path: Path, arguments: str, content: dict[str, Any], changes: dict[str, Any]) -> None:
    made = load(tmp_path, arguments, content)
    assert {name: getattr(made, name) for name in changes} == changes


def test_every_flag_is_a_setting_and_every_setting_but_one_has_a_flag() -> None:
    assert {flag.name for flag in settings.FLAGS} == set(Settings.__struct_fields__) - {"tls_verify"}


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (
            "-D -H unix:///s",
            {"debug": False, "hosts": []},
            "unable to configure the daemon: the following directives are specified both as a flag and in the "
            "configuration file: debug, hosts",
        ),
        ("", {"data_root": "/x"}, "invalid configuration: Object contains unknown field `data_root`"),
        ("", {"storage-motor": "zfs"}, "invalid configuration: Object contains unknown field `storage-motor`"),
        ("", {"debug": "yes"}, "invalid configuration: Expected `bool`, got `str` - at `$.debug`"),
        ("", {"hosts": "tcp://a:1"}, "invalid configuration: Expected `array`, got `str` - at `$.hosts`"),
        ("", {"labels": [1]}, "invalid configuration: Expected `str`, got `int` - at `$.labels[0]`"),
        ("", {"shutdown-timeout": 1.5}, "invalid configuration: Expected `int`, got `float` - at `$.shutdown-timeout`"),
        ("-l loud", {}, 'invalid logging level: "loud"'),
        ("--data-root x", {}, "--data-root must be an absolute path"),
        ("", {"exec-root": ""}, "--exec-root must be an absolute path"),
        ("-H localhost:1", {}, "invalid bind address (localhost:1): use unix:///PATH, tcp://HOST:PORT or fd://"),
        ("-H unix://s", {}, "invalid bind address (unix://s): use unix:///PATH, tcp://HOST:PORT or fd://"),
        ("--label a", {}, "bad attribute format: a"),
        (
            "--cgroup-parent /a/../..",
            {},
            "--cgroup-parent must be an absolute path below the cgroup root: /a/../..",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, arguments: str, content: dict[str, Any], message: str) -> None:
    assert refusal(tmp_path, arguments, content) == message


@pytest.mark.parametrize("content", [[], 1, "x"])
def test_a_file_that_is_no_object(tmp_path: Path, content: Any) -> None:
    assert refusal(tmp_path, content=content).endswith(f"file {tmp_path}/daemon.json: it must hold a JSON object")


@pytest.mark.parametrize("text", [b"{", b"", b"\xff\xfe{}", b"[" * 100_000])
def test_a_file_that_is_no_json(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(text)
    with pytest.raises(InvalidArgument, match=f"unable to configure the daemon with file {file}: "):
        settings.load({"config_file": str(file)})


def test_a_file_that_is_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=f"unable to configure the daemon with file {tmp_path}/x: no such file"):
        settings.load({"config_file": f"{tmp_path}/x"})


def test_a_flag_of_the_wrong_type_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parser().parse_args(["--shutdown-timeout", "soon"])
    assert "argument --shutdown-timeout: invalid int value: 'soon'" in capsys.readouterr().err


def test_the_help_names_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parser().parse_args(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for flag in settings.FLAGS:
        assert flag.help in shown and all(name in shown for name in flag.flags)
    assert "(default /var/lib/cove)" in shown and "(default 15)" in shown
