"""SELinux's labels of new containers."""

from pathlib import Path

import pytest

from cove.engine.bundle import selinux
from cove.engine.bundle.selinux import DEFAULTS, NONE, Labelling, Labels, level_of
from cove.errors import InvalidArgument
from cove.wire.host_config import HostConfig

OTHER = "system_u:system_r:container_t:s0:c1,c2"


def choose(host: HostConfig, labelling: Labelling | None = None) -> Labels:
    return (labelling or Labelling(DEFAULTS)).choose(host, (), lambda _: OTHER)


def test_levels_are_pairs_that_come_once() -> None:
    labelling = Labelling(DEFAULTS)
    levels = [level_of(choose(HostConfig(), labelling).process) for _ in range(2000)]
    assert len(set(levels)) == 2000
    for level in levels:
        low, high = (int(name[1:]) for name in level.removeprefix("s0:").split(","))
        assert 0 <= low < high < 1024
    assert selinux._level(0) == "s0:c0,c1"
    assert selinux._level(selinux._PAIRS - 1) == "s0:c1022,c1023"


def test_a_level_that_is_taken_is_not_given() -> None:
    first, second = Labelling(DEFAULTS), Labelling(DEFAULTS)
    second._pair = first._pair
    taken = choose(HostConfig(), first).process
    assert second.choose(HostConfig(), (taken,), lambda _: "").process != taken


@pytest.mark.parametrize(
    ("host", "process", "mount"),
    [
        (HostConfig(privileged=True), "", ""),
        (HostConfig(security_opt=["label=disable"]), "", ""),
        (HostConfig(security_opt=["label:disable"]), "", ""),
        (HostConfig(pid_mode="host"), "", ""),
        (HostConfig(ipc_mode="container:x"), OTHER, "system_u:object_r:container_file_t:s0:c1,c2"),
        (
            HostConfig(security_opt=["label=level:s0:c3,c4", "label=type:t", "label=filetype:f", "label=user:u"]),
            "u:system_r:t:s0:c3,c4",
            "u:object_r:f:s0:c3,c4",
        ),
        (HostConfig(pid_mode="host", security_opt=["label=level:s0"]), *DEFAULTS),
    ],
)
def test_what_is_asked_for(host: HostConfig, process: str, mount: str) -> None:
    assert choose(host) == Labels(process, mount)
    assert Labelling(None).choose(host, (), lambda _: "") == NONE


@pytest.mark.parametrize("option", ["label=x", "label=color:red", "label="])
def test_what_there_is_not(option: str) -> None:
    with pytest.raises(InvalidArgument, match="bad label option"):
        choose(HostConfig(security_opt=[option]))


def test_the_policy_says_which_types(tmp_path: Path) -> None:
    assert selinux.defaults(tmp_path) == DEFAULTS
    (tmp_path / "config").write_text("# comment\nSELINUX=enforcing\nSELINUXTYPE=mine\n")
    contexts = tmp_path / "mine" / "contexts"
    contexts.mkdir(parents=True)
    (contexts / "lxc_contexts").write_text('process = "u:r:p:s0"\ncontent = "u:r:c:s0"\nfile = "u:r:f:s0"\n')
    assert selinux.defaults(tmp_path) == Labels("u:r:p:s0", "u:r:f:s0")


def test_labels_of_others_are_not_asked_for_without_selinux() -> None:
    taken = iter([OTHER])
    assert Labelling(None).choose(HostConfig(), taken, lambda _: "") == NONE
    assert Labelling(DEFAULTS).choose(HostConfig(privileged=True), taken, lambda _: "") == NONE
    assert next(taken) == OTHER
