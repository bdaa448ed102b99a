"""What is unsafe on a host: every row of the table has facts that it complains of."""

import os
from pathlib import Path
from typing import Any

import pytest

from cove.engine.doctor import offers
from cove.engine.doctor.check import examine
from cove.engine.doctor.host import CHECKS, Facts, gather
from cove.kernel.cgroups import Layout, layout

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("socket-for-all", {"sockets": [("/a.sock", 0o666)]}, "/a.sock has mode 666"),
    ("replaceable-root", {"open_paths": ["/srv"]}, "/srv"),
    ("socket-group", {"members": ["ann", "bob"]}, "ann, bob"),
    ("old-kernel", {"release": (4, 19)}, "4.19"),
    ("data-root-file-system", {"file_system": "tmpfs"}, "tmpfs"),
    ("database-readable", {"readable_database": "/x has mode 644"}, "/x has mode 644"),
    ("ip-forward-off", {"forwards": False}, "net.ipv4.ip_forward is 0"),
    ("forward-dropped", {"obstacles": ["ip filter FORWARD", "inet f forward"]}, "ip filter FORWARD; inet f forward"),
    ("data-root-shared-disk", {"own_disk": False}, "on the root file system"),
    ("bpf-for-all", {"bpf_for_all": True}, "unprivileged_bpf_disabled is 0"),
    ("kernel-pointers", {"pointers_for_all": True}, "kptr_restrict is 0"),
    ("processor", {"weak_processor": ["meltdown"]}, "meltdown"),
]


@pytest.mark.parametrize(("check", "facts", "evidence"), CASES)
def test_a_weakness(check: str, facts: dict[str, Any], evidence: str) -> None:
    found = {finding.id: finding.evidence for finding in examine(CHECKS, Facts(**facts), "host")}
    assert found == {check: evidence}


def test_every_check_is_tried() -> None:
    assert {check.id for check in CHECKS} == {check for check, _, _ in CASES}
    assert examine(CHECKS, Facts(sockets=[("/a.sock", 0o660)]), "host") == []


def test_what_is_seen_of_a_host(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir(mode=0o755)
    run.mkdir(mode=0o755)
    run.chmod(0o777)
    (data / "cove.db").touch(mode=0o644)
    os.mkfifo(tmp_path / "socket", 0o600)
    facts = gather(data, run, [str(tmp_path / "socket"), str(tmp_path / "none")])
    assert str(run) in facts.open_paths
    assert facts.readable_database == f"{data / 'cove.db'} has mode 644"
    assert facts.sockets == [(str(tmp_path / "socket"), 0o600)]
    assert facts.release >= (4, 0) and facts.file_system


def test_a_sticky_directory_on_the_way_is_no_weakness(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    root = shared / "root"
    root.mkdir(parents=True, mode=0o755)
    shared.chmod(0o1777)
    assert str(shared) not in gather(root, root, []).open_paths
    shared.chmod(0o777)
    assert (str(shared) in gather(root, root, []).open_paths) is True


def test_what_is_offered_has_a_value_and_what_is_missing_a_cost() -> None:
    found = {item.name: item for item in offers.offered(offers.Machine(layout(), "", "EROFS images"))}
    assert all(bool(item.value) == item.available == (not item.cost) for item in found.values())
    assert found["EROFS from files"].available and found["Kernel"].value == os.uname().release
    assert {feature.name for feature in offers.FEATURES} == set(found)


def test_a_machine_without_control_groups() -> None:
    found = {item.name: item for item in offers.offered(offers.Machine(Layout((), unified=False), "", "directories"))}
    assert "no limits" in found["Control groups"].cost and not found["Controllers"].available
    assert not found["EROFS from files"].available
