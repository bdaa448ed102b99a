"""The code that calls of cove-oci keep: what is found in it, and when it is not believed."""

import importlib
import importlib.resources
import marshal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.runtime.command.kept_code import KeptCode


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a package ``kept_one`` and a module in it, which nothing has imported yet."""
    package = tmp_path / "sources/kept_one"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("name = __name__\n")
    (package / "data.txt").write_text("beside it")
    (package / "inner.py").write_text("from kept_one import name\nvalue = 1\n")
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(package.parent))
    yield package
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith("kept_one")]:
        del sys.modules[name]


def _kept(sources: Path) -> KeptCode:
    """A later call's, when one has imported both."""
    cache = str(sources.parent.parent / "cache")
    first = KeptCode(cache)
    importlib.import_module("kept_one.inner")
    first.keep()
    _forget()
    return KeptCode(cache)


def test_a_later_call_reads_no_source(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _kept(sources)
    monkeypatch.setattr(sys, "meta_path", [kept])
    inner = importlib.import_module("kept_one.inner")
    assert (inner.value, inner.name, inner.__file__) == (1, "kept_one", str(sources / "inner.py"))
    assert sys.modules["kept_one"].__path__ == [str(sources)]
    assert importlib.resources.files("kept_one").joinpath("data.txt").read_text() == "beside it"


def test_a_source_that_has_changed_is_read(sources: Path) -> None:
    kept = _kept(sources)
    (sources / "inner.py").write_text("value = 22\n")
    (sources / "__init__.py").unlink()
    assert kept.find_spec("kept_one.inner") is None and kept.find_spec("kept_one") is None
    assert kept.find_spec("kept_one.other") is None


@pytest.mark.parametrize("content", [b"", b"no marshal", marshal.dumps(7), marshal.dumps(("2.7", {"kept_one": ()}))])
def test_what_another_python_or_nobody_has_written(sources: Path, content: bytes) -> None:
    _kept(sources)
    (file,) = (sources.parent.parent / "cache").iterdir()
    file.write_bytes(content)
    assert KeptCode(str(file.parent)).find_spec("kept_one") is None


def test_it_grows_and_is_written_only_for_what_is_new(sources: Path) -> None:
    kept = _kept(sources)
    (sources / "more.py").write_text("")
    (file,) = (sources.parent.parent / "cache").iterdir()
    before = file.stat()
    kept.keep()
    assert file.stat() == before
    importlib.import_module("kept_one.more")
    kept.keep()
    assert all(KeptCode(str(file.parent)).find_spec(f"kept_one{name}") for name in ("", ".inner", ".more"))
