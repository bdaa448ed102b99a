"""The tree of a template. Every node can say how it is written, for error messages."""

from __future__ import annotations


class Node:
    """``position`` is the offset that Go reports for the node."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position

    def written(self) -> str:
        raise NotImplementedError


class Literal(Node):
    __slots__ = ("source", "value")

    def __init__(self, position: int, value: object, source: str) -> None:
        super().__init__(position)
        self.value = value
        self.source = source

    def written(self) -> str:
        return self.source


class Dot(Node):
    __slots__ = ()

    def written(self) -> str:
        return "."


class Fields(Node):
    """``.A.B``"""

    __slots__ = ("names",)

    def __init__(self, position: int, names: list[str]) -> None:
        super().__init__(position)
        self.names = names

    def written(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(Node):
    """``$x.A.B``"""

    __slots__ = ("name", "names")

    def __init__(self, position: int, name: str, names: list[str]) -> None:
        super().__init__(position)
        self.name = name
        self.names = names

    def written(self) -> str:
        return self.name + "".join(f".{name}" for name in self.names)


class Function(Node):
    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name

    def written(self) -> str:
        return self.name


class Chain(Node):
    """``(pipeline).A.B``; ``names`` may be empty."""

    __slots__ = ("inner", "names")

    def __init__(self, position: int, inner: Pipeline, names: list[str]) -> None:
        super().__init__(position)
        self.inner = inner
        self.names = names

    def written(self) -> str:
        return f"({self.inner.written()})" + "".join(f".{name}" for name in self.names)


class Call(Node):
    """One command of a pipeline: an operand and its arguments."""

    __slots__ = ("words",)

    def __init__(self, position: int, words: list[Node]) -> None:
        super().__init__(position)
        self.words = words

    def written(self) -> str:
        return " ".join(word.written() for word in self.words)


class Pipeline(Node):
    """``$a, $b := x | y``; ``assigns`` is true for ``=``."""

    __slots__ = ("assigns", "calls", "declares")

    def __init__(self, position: int, declares: list[str], assigns: bool, calls: list[Call]) -> None:
        super().__init__(position)
        self.declares = declares
        self.assigns = assigns
        self.calls = calls

    def written(self) -> str:
        head = f"{', '.join(self.declares)} {'=' if self.assigns else ':='} " if self.declares else ""
        return head + " | ".join(call.written() for call in self.calls)


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, position: int, text: str) -> None:
        super().__init__(position)
        self.text = text


class Action(Node):
    __slots__ = ("pipeline",)

    def __init__(self, position: int, pipeline: Pipeline) -> None:
        super().__init__(position)
        self.pipeline = pipeline


class Branch(Node):
    """``if``, ``with`` or ``range`` (``keyword``), with what follows ``else``."""

    __slots__ = ("body", "keyword", "otherwise", "pipeline")

    def __init__(
        self, position: int, keyword: str, pipeline: Pipeline, body: list[Node], otherwise: list[Node]
    ) -> None:
        super().__init__(position)
        self.keyword = keyword
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Jump(Node):
    """``break`` or ``continue``."""

    __slots__ = ("keyword",)

    def __init__(self, position: int, keyword: str) -> None:
        super().__init__(position)
        self.keyword = keyword
