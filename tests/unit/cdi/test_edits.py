"""What CDI devices change in an OCI configuration."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cove.cdi import Edits, apply, resolve
from cove.cdi.document import ContainerEdits
from cove.errors import Internal, Unimplemented
from cove.oci.runtime import Spec

MOUNT = {"hostPath": "/a", "containerPath": "/a", "options": ["ro", "bind"]}


def edits(**given: Any) -> Edits:
    return resolve([("file: containerEdits", msgspec.convert(given, ContainerEdits))])


def node(**given: Any) -> Edits:
    return edits(deviceNodes=[given])


def changed(made: Edits, username: str = "") -> Spec:
    spec: Spec = {
        "ociVersion": "1.2.0",
        "process": {"args": ["x"], "cwd": "/", "env": ["PATH=/bin", "A=old"], "user": {"username": username}},
        "root": {"path": "/"},
        "mounts": [{"destination": "/dev"}, {"destination": "/etc/hosts"}, {"destination": "/opt/acme/data"}],
        "linux": {
            "devices": [{"path": "/dev/x", "type": "c", "major": 9, "minor": 9}],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        },
    }
    apply(spec, made)
    return spec


def test_variables_replace_what_is_there() -> None:
    assert changed(edits(env=["A=new", "B=c"]))["process"]["env"] == ["PATH=/bin", "A=new", "B=c"]


def test_a_node_is_looked_up_and_replaces_one_of_its_path() -> None:
    linux = changed(node(path="/dev/x", hostPath="/dev/null", permissions="rw", fileMode=0o600))["linux"]
    assert linux["devices"] == [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}]
    allowed = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}
    assert linux["resources"]["devices"] == [{"allow": False, "access": "rwm"}, allowed]


def test_a_node_with_a_number_is_taken_as_it_is() -> None:
    made = node(path="/dev/nowhere", type="b", major=7, minor=2)
    assert made.nodes == [{"path": "/dev/nowhere", "type": "b", "major": 7, "minor": 2}]
    assert made.rules[0].get("access") == "rwm"


def test_no_rule_for_no_permissions_or_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert node(path="/dev/x", hostPath="/dev/null", permissions="none").rules == []
    assert node(path=str(tmp_path / "fifo")).rules == []


@pytest.mark.parametrize(
    ("username", "owner"), [("", (None, None)), ("1000", (1000, None)), ("5:6", (5, 6)), ("mail", (None, None))]
)
def test_a_node_belongs_to_the_program_s_user(username: str, owner: tuple[int | None, int | None]) -> None:
    [device] = changed(node(path="/dev/x", hostPath="/dev/null"), username)["linux"]["devices"]
    assert (device.get("uid"), device.get("gid")) == owner


def test_its_own_owner_goes_first() -> None:
    [device] = changed(node(path="/dev/x", hostPath="/dev/null", uid=0, gid=7), "5:6")["linux"]["devices"]
    assert (device["uid"], device["gid"]) == (0, 7)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"path": "/dev/nope"}, 'failed to stat CDI host device "/dev/nope": no such file or directory'),
        ({"path": "/etc/passwd"}, 'CDI host device "/etc/passwd" is not a device node'),
        ({"path": "/dev/null", "type": "b"}, "host type mismatch (b, c)"),
    ],
)
def test_a_node_that_is_not_there(given: dict[str, Any], words: str) -> None:
    with pytest.raises(Internal, match=r"^file: containerEdits\.deviceNodes") as raised:
        node(**given)
    assert words in str(raised.value)


def test_mounts_go_before_what_they_would_hide_and_replace() -> None:
    mounts = [
        {"hostPath": "/a", "containerPath": "/opt/acme/lib", "options": ["ro", "bind"]},
        {"hostPath": "/b", "containerPath": "/opt/acme"},
        {"hostPath": "/c", "containerPath": "/etc/hosts"},
        {"hostPath": "tmpfs", "containerPath": "/t", "type": "tmpfs", "options": ["size=1m"]},
    ]
    made = changed(edits(mounts=mounts))["mounts"]
    assert [mount["destination"] for mount in made] == [
        "/dev",
        "/opt/acme",
        "/opt/acme/data",
        "/t",
        "/etc/hosts",
        "/opt/acme/lib",
    ]
    by_place = {mount["destination"]: mount for mount in made}
    assert by_place["/opt/acme"] == {"destination": "/opt/acme", "source": "/b", "type": "bind", "options": ["rbind"]}
    assert by_place["/opt/acme/lib"]["options"] == ["ro", "bind"]
    assert by_place["/t"]["type"] == "tmpfs"


def test_hooks_and_groups() -> None:
    hook = {"path": "/h", "args": ["h", "x"], "env": ["A=b"], "timeout": 3}
    made = changed(edits(hooks=[{"hookName": "createContainer", **hook}], additionalGids=[0, 44, 44]))
    assert made["hooks"] == {"createContainer": [hook]}
    assert made["process"]["user"]["additionalGids"] == [44]


@pytest.mark.parametrize(("field", "value"), [("intelRdt", {"closID": "x"}), ("netDevices", [{"name": "a"}])])
def test_what_cannot_be_given(field: str, value: Any) -> None:
    with pytest.raises(Unimplemented, match=f"file: containerEdits.{field}: "):
        edits(**{field: value})


def test_in_a_user_namespace_nodes_are_bound_and_binds_mapped() -> None:
    spec: Spec = {
        "ociVersion": "1.2.0",
        "process": {"args": ["x"], "cwd": "/"},
        "root": {"path": "/"},
        "linux": {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}]},
    }
    apply(spec, edits(deviceNodes=[{"path": "/dev/x", "hostPath": "/dev/null"}], mounts=[MOUNT]))
    assert "devices" not in spec["linux"]
    assert [rule.get("minor") for rule in spec["linux"]["resources"]["devices"]] == [3]
    node_options, options = ["bind", "nosuid", "noexec"], ["ro", "bind", "idmap"]
    bound = {"destination": "/dev/x", "source": "/dev/null", "type": "bind", "options": node_options}
    assert spec["mounts"] == [{"destination": "/a", "source": "/a", "type": "bind", "options": options}, bound]
