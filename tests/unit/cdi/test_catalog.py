"""CDI files of directories: what is found, which wins, what is wrong with bad ones, and that changes are seen."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cove.cdi import Catalog, Unresolvable

EDITS = {"env": ["A=b"]}


def spec(**changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cdiVersion": "0.6.0",
        "kind": "acme.com/widget",
        "devices": [{"name": "one", "containerEdits": EDITS}],
    }
    return {key: value for key, value in {**made, **changed}.items() if value != ...}


def put(directory: Path, name: str, content: dict[str, Any] | str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def look(*directories: Path) -> Catalog:
    catalog = Catalog([str(directory) for directory in directories])
    catalog.refresh()
    return catalog


def device(edits: dict[str, Any], name: str = "one") -> dict[str, Any]:
    return spec(devices=[{"name": name, "containerEdits": edits}], cdiVersion="1.1.0")


def test_json_and_yaml_of_all_directories(tmp_path: Path) -> None:
    put(tmp_path / "a", "one.json", spec())
    text = (
        "cdiVersion: 0.5.0\nkind: acme.com/gadget\ndevices:\n- name: '0'\n  containerEdits:\n"
        "    deviceNodes:\n    - {path: /dev/x, hostPath: /dev/null, fileMode: 0640}\n"
    )
    put(tmp_path / "b", "two.yaml", text)
    put(tmp_path / "b", "three.yml", "not looked at")
    catalog = look(tmp_path / "none", tmp_path / "a", tmp_path / "b")
    assert catalog.names() == ["acme.com/gadget=0", "acme.com/widget=one"]
    assert catalog.names("acme.com/widget") == ["acme.com/widget=one"]
    assert catalog.edits(["acme.com/gadget=0"])[1][1].device_nodes[0].file_mode == 0o640
    assert catalog.problems() == []


def test_edits_of_a_file_come_once_and_first(tmp_path: Path) -> None:
    two = [{"name": name, "containerEdits": {"env": [f"DEVICE={name}"]}} for name in ("one", "two")]
    put(tmp_path, "a.json", spec(devices=two, containerEdits={"env": ["ALL=1"]}))
    found = look(tmp_path).edits(["acme.com/widget=two", "acme.com/widget=one", "acme.com/widget=two"])
    assert [edits.env for _place, edits in found] == [["ALL=1"], ["DEVICE=two"], ["DEVICE=one"]]


def test_later_directories_win(tmp_path: Path) -> None:
    put(tmp_path / "a", "x.json", device({"env": ["FROM=a"]}))
    put(tmp_path / "a", "y.json", device({"env": ["FROM=y"]}))
    put(tmp_path / "b", "x.json", device({"env": ["FROM=b"]}))
    catalog = look(tmp_path / "a", tmp_path / "b")
    assert catalog.edits(["acme.com/widget=one"])[1][1].env == ["FROM=b"]


def test_a_conflict_in_one_directory(tmp_path: Path) -> None:
    first, second = put(tmp_path, "a.json", spec()), put(tmp_path, "b.json", spec())
    with pytest.raises(Unresolvable) as raised:
        look(tmp_path).edits(["acme.com/widget=one"])
    assert str(raised.value) == (
        f"unresolvable CDI devices acme.com/widget=one; {second}: devices[0].name: "
        f'conflicting device "acme.com/widget=one" (specs "{second}", "{first}")'
    )


def test_changes_are_seen(tmp_path: Path) -> None:
    catalog = look(tmp_path)
    assert catalog.names() == []
    path = put(tmp_path, "a.json", spec())
    catalog.refresh()
    assert catalog.names() == ["acme.com/widget=one"]
    put(tmp_path, "a.json", device(EDITS, "six"))
    catalog.refresh()
    assert catalog.names() == ["acme.com/widget=six"]
    path.unlink()
    catalog.refresh()
    assert catalog.names() == []


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    put(tmp_path, "a.json", spec())
    catalog = look(tmp_path)
    before = catalog.edits(["acme.com/widget=one"])[1][1]
    catalog.refresh()
    assert catalog.edits(["acme.com/widget=one"])[1][1] is before


def test_no_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").mkdir()
    (tmp_path / "c.json").symlink_to("nowhere")
    catalog = look(tmp_path)
    assert catalog.problems() == [(str(tmp_path / "c.json"), "no such file or directory")]


NODES, MOUNTS, HOOKS = (f"devices[0].containerEdits.{name}[0]" for name in ("deviceNodes", "mounts", "hooks"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "line 1: Expecting property name enclosed in double quotes"),
        ("[]", "no Spec data"),
        ("\xff", "byte 0: invalid start byte"),
        ("[" * 100_000, "it is nested too deeply"),
        (spec(kind=...), "Object missing required field `kind`"),
        (spec(kind="acme"), 'kind: "acme" is not of the form vendor.com/class'),
        (spec(kind="1acme.com/x"), 'kind: "1acme.com/x" is not of the form vendor.com/class'),
        (spec(cdiVersion="9.0.0"), 'cdiVersion: invalid version "9.0.0"'),
        (spec(cdiVersion=1), "cdiVersion: Expected `str`, got `int`"),
        (spec(devices=[]), "devices: invalid spec, no devices"),
        (spec(extra=1), "Object contains unknown field `extra`"),
        (spec(devices=[{"name": "a b", "containerEdits": EDITS}]), 'devices[0].name: invalid device name "a b"'),
        (spec(devices=[{"name": "a", "containerEdits": {}}]), "devices[0].containerEdits: invalid device, empty"),
        (
            spec(devices=[{"name": "a", "containerEdits": EDITS}] * 2),
            'devices[1].name: invalid spec, multiple device "a"',
        ),
        (spec(cdiVersion="0.3.0", annotations={"a": "b"}), "annotations: the spec version must be at least v0.6.0"),
        (spec(containerEdits={"env": ["=x"]}), 'containerEdits.env[0]: invalid environment variable "=x"'),
        (device({"deviceNodes": [{"path": "x"}]}), f'{NODES}.path: "x" is not an absolute path'),
        (device({"deviceNodes": [{"path": "/x", "type": "z"}]}), f'{NODES}.type: device "/x": invalid type "z"'),
        (device({"deviceNodes": [{"path": "/x", "major": -1}]}), f"{NODES}.major: Expected `int` >= 0"),
        (device({"deviceNodes": [{"path": "/x", "permissions": "rwx"}]}), f'{NODES}.permissions: device "/x": invalid'),
        (device({"deviceNodes": [{"path": "/x", "fileMode": 99999}]}), f"{NODES}.fileMode: Expected `int` <= 4095"),
        (device({"mounts": [{"hostPath": "/x"}]}), f"{MOUNTS}: Object missing required field `containerPath`"),
        (
            device({"mounts": [{"hostPath": "x", "containerPath": "/x"}]}),
            f'{MOUNTS}.hostPath: "x" is not an absolute path',
        ),
        (device({"hooks": [{"hookName": "never", "path": "/x"}]}), f'{HOOKS}.hookName: invalid hook name "never"'),
        (device({"hooks": [{"hookName": "poststop", "path": ""}]}), f'{HOOKS}.path: "" is not an absolute path'),
        (device({"additionalGids": [-1]}), "devices[0].containerEdits.additionalGids[0]: Expected `int` >= 0"),
    ],
)
def test_a_bad_file(tmp_path: Path, content: dict[str, Any] | str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1") if isinstance(content, str) else json.dumps(content).encode())
    put(tmp_path, "good.json", spec(kind="good.com/x"))
    catalog = look(tmp_path)
    assert catalog.names() == ["good.com/x=one"]
    [(where, why)] = catalog.problems()
    assert where == str(path)
    assert why.startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "line 2: found duplicate key"),
        ("a: [\n", "line 2: "),
        ("a: !!python/object:os.system {}\n", "line 1: could not determine a constructor"),
        ("cdiVersion: 1.0\nkind: a/b\n", "cdiVersion: Expected `str`, got `float`"),
        ("", "no Spec data"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str, words: str) -> None:
    put(tmp_path, "bad.yaml", text)
    [(_where, why)] = look(tmp_path).problems()
    assert why.startswith(words)


def test_a_null_is_no_field(tmp_path: Path) -> None:
    put(tmp_path, "a.json", device({"env": ["A=b"], "mounts": None, "deviceNodes": None}))
    assert look(tmp_path).names() == ["acme.com/widget=one"]
