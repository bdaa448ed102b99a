"""The bridge from a formatter's view to the template engine; loaded only for a format with a template."""

from __future__ import annotations

from cove.cli.failure import Failure
from cove.template.evaluate import Template, lenient_lookup, strict_lookup
from cove.template.functions import to_json
from cove.template.lexer import TemplateError
from cove.template.values import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cove.cli.view import View


class ViewRecord(Record):
    """One item seen through a view."""

    def __init__(self, view: View, item: Any) -> None:
        self.view = view
        self.item = item
        self.type_name = view.kind

    def field(self, name: str) -> Any:
        return self.view.fields[name][1](self.item)


class Titles(Record):
    """The row of column titles: a field gives its title."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.type_name = view.kind

    def field(self, name: str) -> Any:
        if name == "Label":
            return lambda label: label.rpartition(".")[2].replace("-", " ").replace("_", " ")
        return self.view.fields[name][0]


def _record_json(value: object) -> str:
    if isinstance(value, ViewRecord):
        return to_json(value.view.as_json(value.item), escape=True)
    return to_json(value)


def _unchanged(value: object, *rest: object) -> object:
    return value


_TITLE_FUNCTIONS = dict.fromkeys(("json", "title", "lower", "upper", "split", "join", "pad", "truncate"), _unchanged)


def render_rows(view: View, items: Iterable[Any], source: str) -> list[str]:
    template = compile_template(source, "failed to parse template: ", 1, {"json": _record_json})
    return [_run(template, ViewRecord(view, item)) for item in items]


def render_titles(view: View, source: str) -> str:
    return _run(compile_template(source, "failed to parse template: ", 1, _TITLE_FUNCTIONS), Titles(view))


def compile_template(source: str, complaint: str, code: int, functions: Any = None) -> Template:
    """Parse; a failure ends the command with ``complaint`` before Go's words."""
    try:
        return Template(source, functions)
    except TemplateError as error:
        raise Failure(f"{complaint}{error}", code) from None


def _run(template: Template, record: Record) -> str:
    try:
        return template.render(record, lenient_lookup)
    except TemplateError as error:
        raise Failure(f"failed to execute template: {error}") from None


class Struct(Record):
    """A JSON object that Go has as a struct of the named type."""

    def __init__(self, type_name: str, value: dict[str, Any]) -> None:
        self.type_name = type_name
        self.value = value

    def field(self, name: str) -> Any:
        return self.value[name]


def render_object(form: str, value: dict[str, Any], type_name: str, name: str = "") -> str:
    """One JSON object through a format, ``json`` included: for version and info.

    ``type_name`` and ``name`` are the Go type and the template's name that error messages give.
    """
    if form == "json":
        return to_json(value)
    try:
        return Template(form, {"json": _struct_json}).render(Struct(type_name, value), _go_lookup)
    except TemplateError as error:
        words = str(error).replace("template: :", f"template: {name}:", 1)
        words = words.replace('executing ""', f'executing "{name}"', 1)
        is_running = "executing" in words
        raise Failure(words if is_running else f"template parsing error: {words}", 1 if is_running else 64) from None


def _go_lookup(value: dict[str, Any], name: str) -> Any:
    """A field by its name in Go, which is not always that in JSON."""
    return strict_lookup(value, _GO_NAMES.get(name, name))


_GO_NAMES = {"APIVersion": "ApiVersion"}


def _struct_json(value: object) -> str:
    return to_json(value.value if isinstance(value, Struct) else value)
