"""Tokens to a tree, with Go's words for what is wrong."""

from __future__ import annotations

import json

from cove.template import nodes
from cove.template.lexer import TemplateError, Token, line_of, tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

MAX_DEPTH = 100
_OPERANDS = frozenset(("string", "raw", "char", "number", "field", "variable", "word"))
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}


def parse(source: str, functions: Collection[str]) -> list[nodes.Node]:
    """The tree of a template whose functions are known by name. Raises TemplateError."""
    return _Parser(source, functions).whole()


class _Parser:
    def __init__(self, source: str, functions: Collection[str]) -> None:
        self.source = source
        self.functions = functions
        self.tokens = tokens(source)
        self.at = 0
        self.scopes: list[str] = ["$"]
        self.loops = 0
        self.depth = 0
        self.parens = 0

    def whole(self) -> list[nodes.Node]:
        body, ending = self.body()
        if ending != "EOF":
            raise self.error(f"unexpected {{{{{ending}}}}}")
        return body

    # Statements

    def body(self) -> tuple[list[nodes.Node], str]:
        """Nodes up to ``end``, ``else`` or the end of the source, and which of them it was."""
        found: list[nodes.Node] = []
        while True:
            token = self.next()
            if token.kind == "end":
                return found, "EOF"
            if token.kind == "text":
                found.append(nodes.Text(token.position, token.text))
                continue
            word = self.peek()
            if word.kind == "word" and word.text in ("end", "else"):
                self.next()
                if word.text == "end":
                    self.close("end")
                return found, word.text
            found.append(self.action(word))

    def action(self, word: Token) -> nodes.Node:
        if word.kind == "word" and word.text in ("if", "with", "range"):
            self.next()
            return self.branch(word)
        if word.kind == "word" and word.text in ("break", "continue"):
            self.next()
            if not self.loops:
                raise self.error(f"{{{{{word.text}}}}} outside {{{{range}}}}")
            self.close(word.text)
            return nodes.Jump(word.position, word.text)
        if word.kind == "word" and word.text in ("define", "template", "block"):
            raise self.error(f"{{{{{word.text}}}}} is not supported")
        return nodes.Action(word.position, self.pipeline("command", "close"))

    def branch(self, word: Token) -> nodes.Branch:
        self.deeper()
        scope = len(self.scopes)
        self.loops += word.text == "range"
        pipeline = self.pipeline(word.text, "close")
        body, ending = self.body()
        self.loops -= word.text == "range"
        otherwise: list[nodes.Node] = []
        if ending == "else":
            otherwise = self.otherwise(word)
        elif ending == "EOF":
            raise self.error("unexpected EOF")
        del self.scopes[scope:]
        self.depth -= 1
        return nodes.Branch(word.position, word.text, pipeline, body, otherwise)

    def otherwise(self, word: Token) -> list[nodes.Node]:
        following = self.peek()
        if following.kind == "word" and following.text == word.text and word.text in ("if", "with"):
            # "else if" is an if of its own, whose end closes both.
            self.next()
            return [self.branch(following)]
        self.close("else")
        body, ending = self.body()
        if ending == "EOF":
            raise self.error("unexpected EOF")
        if ending != "end":
            raise self.error("expected end; found {{else}}")
        return body

    # Pipelines

    def pipeline(self, context: str, closing: str) -> nodes.Pipeline:
        position = self.peek().position
        declares, assigns = self.declarations(context)
        calls: list[nodes.Call] = []
        while True:
            token = self.peek()
            if token.kind == closing or (closing == ")" and token.text == ")" and token.kind == "symbol"):
                self.next()
                break
            if token.kind == "close" and closing == ")":
                raise self.error("unclosed left paren")
            calls.append(self.call(context))
        if not calls:
            raise self.error(f"missing value for {context}")
        self.check(calls)
        return nodes.Pipeline(position, declares, assigns, calls)

    def declarations(self, context: str) -> tuple[list[str], bool]:
        names: list[str] = []
        start = self.at
        while self.peek().kind == "variable":
            names.append(self.next().text)
            token = self.peek()
            if token.kind == "declare" or (token.kind == "symbol" and token.text == "="):
                self.next()
                assigns = token.kind != "declare"
                self.declare(names, assigns)
                return names, assigns
            if not (token.text == "," and context == "range" and len(names) < 2):
                break
            self.next()
        self.at = start
        return [], False

    def declare(self, names: list[str], assigns: bool) -> None:
        for name in names:
            if assigns and name not in self.scopes:
                raise self.error(f'undefined variable "{name}"')
            self.scopes.append(name)

    def check(self, calls: list[nodes.Call]) -> None:
        for number, call in enumerate(calls[1:], 2):
            if isinstance(call.words[0], nodes.Literal | nodes.Dot):
                raise self.error(f"non executable command in pipeline stage {number}")

    def call(self, context: str) -> nodes.Call:
        position = self.peek().position
        words: list[nodes.Node] = []
        while True:
            token = self.peek()
            if token.kind in _OPERANDS or (token.kind == "symbol" and token.text in ".("):
                words.append(self.operand())
                continue
            if token.kind == "symbol" and token.text == "|":
                self.next()
                if self.peek().kind == "close":
                    raise self.error(f"missing value for {context}")
            elif token.kind != "close" and not (token.kind == "symbol" and token.text == ")"):
                raise self.unexpected(token, "operand")
            elif token.text == ")" and not self.parens:
                raise self.error("unexpected right paren")
            break
        if not words:
            raise self.error("empty command")
        return nodes.Call(position, words)

    # Operands

    def operand(self) -> nodes.Node:
        token = self.next()
        term = self.term(token)
        names: list[str] = []
        position = self.peek().position
        while self.peek().kind == "field" and self.touches():
            names.append(self.next().text[1:])
        return self.chained(term, names, position) if names else term

    def chained(self, term: nodes.Node, names: list[str], position: int) -> nodes.Node:
        if isinstance(term, nodes.Fields):
            return nodes.Fields(position, term.names + names)
        if isinstance(term, nodes.Variable):
            return nodes.Variable(position, term.name, term.names + names)
        if isinstance(term, nodes.Chain):
            return nodes.Chain(position, term.inner, names)
        if isinstance(term, nodes.Dot | nodes.Literal):
            raise self.error(f"unexpected . after term {json.dumps(term.written())}")
        inner = nodes.Pipeline(term.position, [], False, [nodes.Call(term.position, [term])])
        return nodes.Chain(position, inner, names)

    def term(self, token: Token) -> nodes.Node:
        kind, text, position = token.kind, token.text, token.position
        if kind == "field":
            return nodes.Fields(position, [text[1:]])
        if kind == "variable":
            if text not in self.scopes:
                raise self.error(f'undefined variable "{text}"')
            return nodes.Variable(position, text, [])
        if kind == "word":
            return self.named(token)
        if kind == "symbol" and text == ".":
            return nodes.Dot(position)
        if kind == "symbol":
            self.deeper()
            self.parens += 1
            inner = self.pipeline("parenthesized pipeline", ")")
            self.parens -= 1
            self.depth -= 1
            return nodes.Chain(position, inner, [])
        return nodes.Literal(position, self.constant(token), text)

    def named(self, token: Token) -> nodes.Node:
        constants = {"true": True, "false": False, "nil": None}
        if token.text in constants:
            return nodes.Literal(token.position, constants[token.text], token.text)
        if token.text not in self.functions:
            raise self.error(f'function "{token.text}" not defined')
        return nodes.Function(token.position, token.text)

    def constant(self, token: Token) -> object:
        text = token.text
        if token.kind == "raw":
            return text[1:-1]
        if token.kind == "string":
            return _unquote(text[1:-1])
        if token.kind == "char":
            return ord(_unquote(text[1:-1])[:1] or "\0")
        try:
            return int(text, 0)
        except ValueError:
            try:
                return float(text)
            except ValueError:
                raise self.error(f"bad number syntax: {json.dumps(text)}") from None

    # Tokens

    def next(self) -> Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def peek(self) -> Token:
        return self.tokens[self.at]

    def touches(self) -> bool:
        """Whether the next token follows the last without a space."""
        last = self.tokens[self.at - 1]
        return last.position + len(last.text) == self.peek().position

    def close(self, context: str) -> None:
        token = self.next()
        if token.kind != "close":
            raise self.unexpected(token, context)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error("nested too deeply")

    def unexpected(self, token: Token, context: str) -> TemplateError:
        shown = "EOF" if token.kind == "end" else f"<{token.text}>"
        return self.error(f"unexpected {shown} in {context}")

    def error(self, message: str) -> TemplateError:
        position = min(self.peek().position, len(self.source))
        return TemplateError(f"template: :{line_of(self.source, position)}: {message}")


def _unquote(text: str) -> str:
    """The value of a Go quoted string, without its quotes."""
    if "\\" not in text:
        return text
    out = bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        if char != "\\" or at + 1 >= len(text):
            out += char.encode()
            at += 1
            continue
        code = text[at + 1]
        width = {"x": 2, "u": 4, "U": 8}.get(code)
        if width and _is_hex(text[at + 2 : at + 2 + width], width):
            number = int(text[at + 2 : at + 2 + width], 16)
            out += bytes((number,)) if code == "x" else chr(min(number, 0x10FFFF)).encode("utf-8", "replace")
            at += 2 + width
        elif code in "01234567":
            out.append(int(text[at + 1 : at + 4], 8) & 0xFF if text[at + 1 : at + 4].isdecimal() else 0)
            at += 4
        else:
            out.append(_ESCAPES.get(code, ord(code) & 0xFF))
            at += 2
    return out.decode("utf-8", "replace")


def _is_hex(digits: str, width: int) -> bool:
    return len(digits) == width and all(digit in "0123456789abcdefABCDEF" for digit in digits)
