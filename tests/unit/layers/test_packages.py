"""What languages' packages say of themselves."""

from pathlib import Path

from cove.layers.builds.packages import find_packages
from cove.layers.worker.build_jobs import FindPackages

FRAME = b"0w\xaf\x0c\x92t\x08\x02A\xe1\xc1\x07\xe6\xd6\x18\xe6"
MODULES = (
    b"path\texample.com/tool\nmod\texample.com/tool\tv1.2.3\th1:x=\n"
    b"dep\texample.com/lib\tv0.1.0\th1:y=\ndep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv1.1.0\th1:z=\n"
)


def counted(data: bytes) -> bytes:
    """A string as Go writes it: below 128 one byte of length, below 16384 two."""
    length = len(data)
    head = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return head + data


def program(*, flags: int = 2, before: int = 1 << 20) -> bytes:
    strings = counted(b"go1.22.1") + counted(FRAME + MODULES + FRAME)
    return (
        b"\x7fELF" + bytes(before) + (b"\xff Go buildinf:\x08" + bytes([flags])).ljust(32, b"\0") + strings + bytes(99)
    )


def found(root: Path, content: bytes, mode: int = 0o755) -> list[tuple[str, str]]:
    (root / "program").write_bytes(content)
    (root / "program").chmod(mode)
    return [(package.name, package.version) for package in find_packages(FindPackages([str(root)])).packages]


def test_a_go_program_names_its_modules(tmp_path: Path) -> None:
    modules = [
        ("example.com/lib", "v0.1.0"),
        ("example.com/new", "v1.1.0"),
        ("example.com/old", "v1.0.0"),
        ("example.com/tool", "v1.2.3"),
        ("stdlib", "1.22.1"),
    ]
    for before in (1 << 20, (1 << 20) - 10, (1 << 20) + 7):  # the mark lies across pieces that are read
        assert found(tmp_path, program(before=before)) == modules


def test_other_files_name_none(tmp_path: Path) -> None:
    assert found(tmp_path, program(), mode=0o644) == []
    assert found(tmp_path, program()[4:]) == []
    assert found(tmp_path, program(flags=0)) == []
    assert found(tmp_path, b"\x7fELF" + bytes(1 << 20)) == []
    assert found(tmp_path, program()[:-1000]) == []
    for path in ("x.dist-info/METADATA", "node_modules/x/package.json", "node_modules/y/package.json"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"[1, \xff" if "/x/" in path else b"{}")
    assert found(tmp_path, b"") == []
