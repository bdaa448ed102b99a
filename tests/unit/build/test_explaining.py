"""Why a step is not in the cache: the inputs that differ from the nearest record."""

from pathlib import Path

import pytest

from cove.build.cache.cache import Parts, Record
from cove.build.cache.explaining import MOST_FILES, reasons

OLD, NEW = "a" * 64, "b" * 64


def record(parts: dict[str, str], listing: str = "") -> Record:
    return Record("key", "regular", "RUN it", 1, 1, parts=parts, listing=listing)


def listed(directory: Path, name: str, **files: str) -> str:
    """A list of files with their digests; ``name`` is what it is called."""
    lines = [f"{file}\t644\t0:0\t\t\t{digest}" for file, digest in files.items()]
    (directory / name).write_text("\n".join(lines))
    return name


def test_nothing_like_it(tmp_path: Path) -> None:
    assert reasons(Parts({"kind": "run"}), None, tmp_path) == ("no step like this has been built here",)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"a": "1"}, {"a": "2"}, 'a differs: "1" → "2"'),
        ({}, {"argument WORD": "x"}, 'argument WORD is new: "x"'),
        ({"option network": "none"}, {}, 'option network is gone: it was "none"'),
        ({"parent": f"sha256:{OLD}"}, {"parent": f"sha256:{NEW}"}, "what it is built on differs: sha256:aaaaaaaaaaaa"),
        ({"a": "x" * 300}, {"a": "y"}, "…"),
        ({"option --chmod": "7"}, {"option --chmod": "7", "modes": "2"}, "of an older version, in which --chmod meant"),
        ({}, {"option --chmod": "7", "modes": "2"}, 'option --chmod is new: "7"'),
    ],
)
def test_one_input(before: dict[str, str], now: dict[str, str], said: str, tmp_path: Path) -> None:
    [found] = reasons(Parts(now), record(before), tmp_path)
    assert said in found and len(found) < 260


def test_files(tmp_path: Path) -> None:
    before = listed(tmp_path, "one", same=OLD, changed=OLD, gone=OLD)
    now = listed(tmp_path, "two", same=OLD, changed=NEW, new=NEW)
    found = reasons(Parts({"files": "2"}, now), record({"files": "1"}, before), tmp_path)
    assert found == (
        "file changed differs: sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb",
        "file gone is gone: it was sha256:aaaaaaaaaaaa",
        "file new is new: sha256:bbbbbbbbbbbb",
    )


def test_a_single_file_is_named_by_the_copy(tmp_path: Path) -> None:
    before, now = listed(tmp_path, "one", **{"": OLD}), listed(tmp_path, "two", **{"": NEW})
    [found] = reasons(Parts({"files": "2"}, now), record({"files": "1"}, before), tmp_path, "src/page")
    assert found.startswith("file src/page differs")


def test_a_record_without_names_of_files(tmp_path: Path) -> None:
    now = listed(tmp_path, "two", changed=NEW)
    found = reasons(Parts({"files": NEW}, now), record({"files": OLD}), tmp_path)
    assert found == ("files differ: sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb",)


def test_many_files_are_not_all_told(tmp_path: Path) -> None:
    now = listed(tmp_path, "many", **{f"f{number:03}": NEW for number in range(100)})
    found = reasons(Parts({"files": "2"}, now), record({"files": "1"}, "lost"), tmp_path)
    assert len(found) == MOST_FILES + 1 and found[-1] == "… and further files"


def test_a_record_without_its_layer(tmp_path: Path) -> None:
    assert reasons(Parts({"a": "1"}), record({"a": "1"}), tmp_path) == ("the record's layer is gone",)
