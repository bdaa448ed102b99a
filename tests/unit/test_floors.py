"""A package imports only from lower floors and from the names in its own row of floors.toml."""

import ast
import functools
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "cove"
TABLE = tomllib.loads((Path(__file__).parent / "floors.toml").read_text())
PACKAGES = TABLE["package"]
IMPORT_CALLS = {"importlib.import_module", "import_module", "__import__"}


class Import(NamedTuple):
    """``importer`` and ``imported`` are module names; ours are without the leading "cove."."""

    importer: str
    imported: str
    where: str
    ours: bool


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def package_of(module: str) -> str | None:
    return next((package for package in PACKAGES if within(module, package)), None)


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_package_of_ours(name: str) -> bool:
    return name == "cove" or (name.startswith("cove.") and SOURCE.joinpath(*name.split(".")[1:]).is_dir())


def imported_names(node: ast.AST, importer: str, is_package: bool) -> Iterator[str]:
    """The full names of the modules that one statement imports, lazy and TYPE_CHECKING ones like any other."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            here = ["cove", *importer.split(".")]
            here = here[: len(here) - node.level + is_package]
            base = ".".join([*here, *([node.module] if node.module else [])])
        yield from (f"{base}.{alias.name}" if is_package_of_ours(base) else base for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in IMPORT_CALLS and node.args:
        yield from (str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant))


def imports_of(text: str, importer: str, is_package: bool = False) -> Iterator[Import]:
    for node in ast.walk(ast.parse(text)):
        for name in imported_names(node, importer, is_package):
            ours = name == "cove" or name.startswith("cove.")
            line = getattr(node, "lineno", 0)
            yield Import(importer, name.removeprefix("cove").lstrip(".") if ours else name, f"{importer}:{line}", ours)


@functools.cache
def all_imports() -> list[Import]:
    return [
        found
        for path in sorted(SOURCE.rglob("*.py"))
        for found in imports_of(path.read_text(), module_name(path), path.name == "__init__.py")
    ]


def allowed(importer: str, imported: str) -> bool:
    row = PACKAGES[importer]
    target = package_of(imported)
    if target is None:
        return False
    if target == importer:
        return True
    named = any(within(imported, name) for name in row["may"])
    floor = PACKAGES[target]["floor"]
    return named or (floor < row["floor"] and f"floor {floor}" in row["may"])


def broken_rule(found: Import) -> str | None:
    """Why this import may not be; None when it may."""
    package = package_of(found.importer)
    if package is None:
        return None  # the root package; test_every_package_has_a_row looks at the rest
    top = found.imported.removeprefix("lean.").split(".")[0]
    if found.ours and not (found.imported.startswith("lean.") and top in TABLE["confined"]):
        if found.imported in {"", "__version__"} or allowed(package, found.imported):
            return None
        return f"{found.where}: cove.{package} may not import cove.{found.imported}"
    if top in TABLE["confined"]:
        rule = TABLE["confined"][top]
        if any(within(found.importer, place) for place in rule["only"]):
            return None
        return f"{found.where}: no {top} here: {rule['why']}"
    if top in sys.stdlib_module_names or top in PACKAGES[package]["outside"]:
        return None
    return f"{found.where}: cove.{package} may not import {top}"


def test_imports_stay_on_their_floors() -> None:
    broken = [message for found in all_imports() if (message := broken_rule(found))]
    assert not broken, "\n" + "\n".join(broken)


def test_every_package_has_a_row() -> None:
    modules = {module_name(path) for path in SOURCE.rglob("*.py") if path.read_text().strip()}
    without = {name for name in modules if name and package_of(name) is None and name != "registry"}
    assert not without, f"add a row to floors.toml (and to docs/design.md) for: {sorted(without)}"


def test_the_root_package_imports_nothing() -> None:
    assert not list(imports_of((SOURCE / "__init__.py").read_text(), "", is_package=True))


def test_rows_name_only_lower_floors() -> None:
    siblings = {
        ("kernel", "lean"),
        ("reference", "digest"),
        ("seccomp", "oci"),
        ("cdi", "oci"),
        ("layers", "content"),
        ("images", "content"),
        ("images", "layers"),
        ("build", "registry.client"),
        ("build", "contexts"),
        ("resolver", "runtime"),
    }
    for package, row in PACKAGES.items():
        for name in row["may"]:
            target = None if name.startswith("floor ") else package_of(name)
            floor = int(name.removeprefix("floor ")) if target is None else PACKAGES[target]["floor"]
            assert floor < row["floor"] or (package, target) in siblings, f"{package} may not name {name}"


@pytest.mark.parametrize(
    ("importer", "text", "complaint"),
    [
        ("server.routes", "from cove.engine import containers", "may not import cove.engine"),
        ("server.routes", "def f():\n    import cove.engine.containers", "may not import cove.engine.containers"),
        ("server.routes", "if TYPE_CHECKING:\n    from cove import engine", "may not import cove.engine"),
        ("kernel.mounts", "from ..errors import NotFound", "may not import cove.errors"),
        ("runtime.shim", "import msgspec", "may not import msgspec"),
        ("runtime.shim", "from cove.oci import image", "may not import cove.oci.image"),
        ("engine.containers", "from cove.runtime import shim", "may not import cove.runtime"),
        ("engine.containers", "import importlib\nimportlib.import_module('cove.server')", "may not import cove.server"),
        ("engine.containers", "import ctypes", "no ctypes here"),
        ("runtime.shim", "from cove.lean import ctypes", "no ctypes here"),
        ("engine.containers", "from subprocess import run", "no subprocess here"),
        ("engine.containers", "import nowhere", "may not import nowhere"),
    ],
)
def test_a_forbidden_import_is_found(importer: str, text: str, complaint: str) -> None:
    complaints = [message for found in imports_of(text, importer) if (message := broken_rule(found))]
    assert any(complaint in message for message in complaints), complaints


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("server.routes", "from cove.errors import NotFound"),
        ("kernel.mounts", "import ctypes, os"),
        ("kernel.mounts", "from cove.lean import ctypes"),
        ("runtime.shim", "from cove import __version__"),
        ("runtime.shim", "from cove.oci.runtime import Spec"),
        ("runtime.shim", "from . import messages"),
        ("engine.shims", "from cove.runtime import launch, messages"),
        ("images.importer", "from cove.layers.store import Layers"),
    ],
)
def test_an_allowed_import_is_not(importer: str, text: str) -> None:
    assert not [message for found in imports_of(text, importer) if (message := broken_rule(found))]
