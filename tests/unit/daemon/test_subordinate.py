"""Whose subordinate ids containers get: the files that say so, and what is wrong with a setting."""

from pathlib import Path

import pytest

from cove.daemon import subordinate
from cove.engine.bundle.remap import Range, Remap
from cove.errors import InvalidArgument


def test_ranges_of_a_name_and_of_a_number(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("# ids\nann:100000:65536\nbob:200000:10\n\n1000:300000:5\nann:400000:0\n")
    assert subordinate.ranges(file, "ann", 1000) == [Range(100000, 65536), Range(300000, 5)]
    assert subordinate.ranges(file, "eve", 7) == []
    assert subordinate.ranges(tmp_path / "none", "ann", 1000) == []


@pytest.mark.parametrize("line", ["ann:1", "ann:x:1", "ann:1:-1", "ann"])
def test_a_line_that_is_no_range(tmp_path: Path, line: str) -> None:
    (tmp_path / "subuid").write_text(line)
    with pytest.raises(InvalidArgument, match="Format not correct"):
        subordinate.ranges(tmp_path / "subuid", "ann", 1)


def test_a_new_range_is_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    subordinate.add_range(file, "one")
    assert file.read_text() == "one:100000:65536\n"
    file.write_text("ann:500000:1000")
    subordinate.add_range(file, "one")
    assert file.read_text() == "ann:500000:1000\none:501000:65536\n"


@pytest.mark.parametrize("setting", [":", "a:", ":b", "a:b:c"])
def test_a_setting_that_names_nobody(setting: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid user/group specification"):
        subordinate.remap(setting)


def test_nothing_and_root_are_not_mapped() -> None:
    assert subordinate.remap("") is None
    assert subordinate.remap("root") is None
    assert subordinate.remap("0:0") is None


def test_ranges_follow_each_other_in_a_container() -> None:
    remap = Remap((Range(1000, 10), Range(5000, 20)), (Range(70, 5),))
    assert remap.uid_mappings == [
        {"containerID": 0, "hostID": 1000, "size": 10},
        {"containerID": 10, "hostID": 5000, "size": 20},
    ]
    assert remap.root == (1000, 70)
