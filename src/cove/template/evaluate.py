"""Running a template's tree over a value."""

from __future__ import annotations

from cove.template import nodes
from cove.template.functions import FUNCTIONS, LAZY
from cove.template.lexer import TemplateError, location
from cove.template.parser import parse
from cove.template.values import GoNil, Record, show, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Lookup = Callable[[dict[str, Any], str], Any]

MAX_OUTPUT = 64 * 1024 * 1024
SHOWN_NODE = 20


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def strict_lookup(value: dict[str, Any], name: str) -> Any:
    """A map's entry. Raises LookupError when there is none, as Docker's templates do."""
    if name not in value:
        raise LookupError(f'map has no entry for key "{name}"')
    return value[name]


def lenient_lookup(value: dict[str, Any], name: str) -> Any:
    return value.get(name)


class Template:
    """A parsed template. ``functions`` are added to, or replace, the standard ones. Raises TemplateError."""

    def __init__(self, source: str, functions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self.source = source
        self.functions = {**FUNCTIONS, **(functions or {})}
        self.body = parse(source, self.functions)

    def render(self, data: object, lookup: Lookup = strict_lookup) -> str:
        """The text for ``data``. ``lookup`` finds an entry of a JSON object. Raises TemplateError."""
        run = _Run(self, data, lookup)
        run.walk(self.body, data)
        return "".join(run.out)


class _Run:
    def __init__(self, template: Template, data: object, lookup: Lookup) -> None:
        self.template = template
        self.lookup = lookup
        self.variables: list[tuple[str, Any]] = [("$", data)]
        self.out: list[str] = []
        self.size = 0

    def fail(self, node: nodes.Node, message: str) -> TemplateError:
        written = node.written()
        if len(written) > SHOWN_NODE:
            written = f"{written[:SHOWN_NODE]}..."
        place = location(self.template.source, node.position)
        return TemplateError(f'template: :{place}: executing "" at <{written}>: {message}')

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_OUTPUT:
            raise TemplateError("template: : output is too large")
        self.out.append(text)

    # Statements

    def walk(self, body: list[nodes.Node], dot: Any) -> None:
        for node in body:
            if isinstance(node, nodes.Text):
                self.write(node.text)
            elif isinstance(node, nodes.Action):
                value = self.pipeline(node.pipeline, dot)
                if not node.pipeline.declares:
                    self.write(show(value))
            elif isinstance(node, nodes.Branch):
                self.branch(node, dot)
            elif isinstance(node, nodes.Jump):
                raise _Break if node.keyword == "break" else _Continue

    def branch(self, node: nodes.Branch, dot: Any) -> None:
        mark = len(self.variables)
        if node.keyword == "range":
            self.range(node, dot)
        else:
            value = self.pipeline(node.pipeline, dot)
            inner = value if node.keyword == "with" and truth(value) else dot
            self.walk(node.body if truth(value) else node.otherwise, inner)
        del self.variables[mark:]

    def range(self, node: nodes.Branch, dot: Any) -> None:
        declares, assigns = node.pipeline.declares, node.pipeline.assigns
        value = self.calls(node.pipeline, dot)
        pairs = self.pairs(node, value)
        mark = len(self.variables)
        for key, item in pairs:
            for name, bound in zip(declares, (key, item) if len(declares) == 2 else (item,), strict=False):
                self.bind(name, bound, assigns)
            try:
                self.walk(node.body, item)
            except _Break:
                break
            except _Continue:
                pass
            finally:
                del self.variables[mark:]
        if not pairs:
            self.walk(node.otherwise, dot)

    def pairs(self, node: nodes.Branch, value: Any) -> list[tuple[Any, Any]]:
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return list(enumerate(value))
        if isinstance(value, int) and not isinstance(value, bool):
            return [(number, number) for number in range(min(value, MAX_OUTPUT))]
        if value is None or isinstance(value, GoNil):
            return []
        raise self.fail(node.pipeline, f"range can't iterate over {show(value)}")

    def bind(self, name: str, value: Any, assigns: bool) -> None:
        if assigns:
            for at in range(len(self.variables) - 1, -1, -1):
                if self.variables[at][0] == name:
                    self.variables[at] = (name, value)
                    return
        self.variables.append((name, value))

    # Values

    def pipeline(self, pipeline: nodes.Pipeline, dot: Any) -> Any:
        value = self.calls(pipeline, dot)
        for name in pipeline.declares:
            self.bind(name, value, pipeline.assigns)
        return value

    def calls(self, pipeline: nodes.Pipeline, dot: Any) -> Any:
        piped: list[Any] = []
        for call in pipeline.calls:
            piped = [self.call(call, dot, piped)]
        return piped[0]

    def call(self, call: nodes.Call, dot: Any, piped: list[Any]) -> Any:
        first, arguments = call.words[0], call.words[1:]
        if isinstance(first, nodes.Function):
            return self.apply(call, first.name, arguments, dot, piped)
        value = self.operand(first, dot, callable_last=True)
        if callable(value):
            return self.method(call, first, value, [*(self.operand(word, dot) for word in arguments), *piped])
        if arguments or piped:
            name = first.written().rpartition(".")[2]
            if isinstance(first, nodes.Fields | nodes.Variable | nodes.Chain) and first.names:
                raise self.fail(first, f"{name} has arguments but cannot be invoked as function")
            raise self.fail(first, f"can't give argument to non-function {first.written()}")
        return value

    def apply(self, call: nodes.Call, name: str, arguments: list[nodes.Node], dot: Any, piped: list[Any]) -> Any:
        if name in LAZY:
            return self.lazy(call, name, arguments, dot, piped)
        values = [*(self.operand(word, dot) for word in arguments), *piped]
        try:
            return self.template.functions[name](*values)
        except ValueError as error:
            raise self.fail(call, f"error calling {name}: {error}") from None
        except TypeError:
            raise self.fail(call, f"wrong number or type of args for {name}: got {len(values)}") from None

    def lazy(self, call: nodes.Call, name: str, arguments: list[nodes.Node], dot: Any, piped: list[Any]) -> Any:
        if not arguments and not piped:
            raise self.fail(call, f"wrong number of args for {name}: want at least 1 got 0")
        value: Any = None
        for word in arguments:
            value = self.operand(word, dot)
            if truth(value) == (name == "or"):
                return value
        return piped[0] if piped else value

    def method(self, call: nodes.Call, node: nodes.Node, function: Callable[..., Any], values: list[Any]) -> Any:
        try:
            return function(*values)
        except TypeError:
            name = node.written().rpartition(".")[2]
            raise self.fail(call, f"wrong number of args for {name}: got {len(values)}") from None

    def operand(self, node: nodes.Node, dot: Any, callable_last: bool = False) -> Any:
        if isinstance(node, nodes.Literal):
            return node.value
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Function):
            return self.apply(nodes.Call(node.position, [node]), node.name, [], dot, [])
        value = self.fields(node, self.start(node, dot))
        if callable(value) and not callable_last:
            return self.method(nodes.Call(node.position, [node]), node, value, [])
        return value

    def start(self, node: nodes.Node, dot: Any) -> Any:
        if isinstance(node, nodes.Variable):
            return next(value for name, value in reversed(self.variables) if name == node.name)
        if isinstance(node, nodes.Chain):
            return self.pipeline(node.inner, dot)
        return dot

    def fields(self, node: nodes.Node, value: Any) -> Any:
        names: list[str] = getattr(node, "names", [])
        for name in names:
            value = self.field(node, value, name)
        return value

    def field(self, node: nodes.Node, value: Any, name: str) -> Any:
        if isinstance(value, Record):
            try:
                return value.field(name)
            except KeyError:
                raise self.fail(node, f"can't evaluate field {name} in type {value.type_name}") from None
        if isinstance(value, dict):
            try:
                return self.lookup(value, name)
            except LookupError as error:
                raise self.fail(node, str(error.args[0])) from None
        if value is None or isinstance(value, GoNil):
            raise self.fail(node, f"nil pointer evaluating interface {{}}.{name}")
        raise self.fail(node, f"can't evaluate field {name} in type {type_name(value)}")
