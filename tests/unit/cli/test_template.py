"""The template engine against what Go's does (recorded from the stock command line, or from its documentation)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cove.cli.inspected import lookup
from cove.template.evaluate import Template, lenient_lookup
from cove.template.lexer import TemplateError, tokens
from cove.template.values import Record, show_float

DATA: dict[str, Any] = {
    "Name": "web",
    "Count": 3,
    "Ratio": 2.5,
    "On": True,
    "Off": False,
    "Nothing": None,
    "List": ["a", "b", "c"],
    "Numbers": [1, 2, 3],
    "Map": {"b": 2, "a": 1, "c.d": "dotted"},
    "Deep": {"Er": {"Est": "found"}},
    "Empty": [],
    "Text": "hello wide world",
}

GOOD = [
    ("", ""),
    ("plain", "plain"),
    ("{{.Name}}", "web"),
    ("{{ .Name }}-{{.Count}}", "web-3"),
    ("{{.Deep.Er.Est}}", "found"),
    ("{{.Ratio}} {{.On}} {{.Nothing}}", "2.5 true <no value>"),
    ("{{.List}} {{.Map}}", "[a b c] map[a:1 b:2 c.d:dotted]"),
    ("{{if .On}}y{{end}}{{if .Off}}n{{end}}", "y"),
    ("{{if .Off}}a{{else if .On}}b{{else}}c{{end}}", "b"),
    ("{{if .Off}}a{{else if .Empty}}b{{else}}c{{end}}", "c"),
    ("{{with .Deep}}{{.Er.Est}}{{end}}{{with .Empty}}x{{else}}none{{end}}", "foundnone"),
    ("{{with .Empty}}x{{else with .Deep}}{{.Er.Est}}{{end}}", "found"),
    ("{{range .List}}<{{.}}>{{end}}", "<a><b><c>"),
    ("{{range $i, $e := .List}}{{$i}}{{$e}}{{end}}", "0a1b2c"),
    ("{{range $k, $v := .Map}}{{$k}}={{$v}} {{end}}", "a=1 b=2 c.d=dotted "),
    ("{{range .Empty}}x{{else}}empty{{end}}", "empty"),
    ('{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', "ac"),
    ('{{range .List}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', "a"),
    ("{{range .List}}{{$.Name}}{{end}}", "webwebweb"),
    ('{{$x := .Name}}{{$x}}{{$x = "new"}}{{$x}}', "webnew"),
    ("{{$x := 1}}{{range .List}}{{$x = .}}{{end}}{{$x}}", "c"),
    ("a {{- .Name -}} b", "awebb"),
    ("a {{- /* gone */ -}} b", "ab"),
    ("{{/* gone */}}x", "x"),
    ("{{.Name | upper | lower | title}}", "Web"),
    (
        '{{printf "%s|%5d|%-5s|%05.1f|%q|%v|%t|%x" .Name .Count .Name .Ratio .Name .List .On .Count}}',
        'web|    3|web  |002.5|"web"|[a b c]|true|3',
    ),
    ('{{printf "%d %%" .Count}}{{printf "%s"}}{{printf "x" 1}}', "3 %%!s(MISSING)x%!(EXTRA int=1)"),
    ("{{println .Name .Count}}", "web 3\n"),
    ("{{print .Name .Count 4}}", "web3 4"),
    ('{{index .List 1}}{{index .Map "c.d"}}{{(index .List 0)}}', "bdotteda"),
    ("{{len .List}}{{len .Map}}{{len .Name}}", "333"),
    ("{{slice .Name 1 2}}{{slice .List 1}}", "e[b c]"),
    ('{{eq .Count 3}}{{eq .Name "x" "web"}}{{ne .Count 3}}', "truetruefalse"),
    ('{{lt 1 2}}{{le 2 2}}{{gt 1 2}}{{ge 2 2}}{{lt "a" "b"}}', "truetruefalsetruetrue"),
    ("{{and .On .Name}}{{and .Off .Name}}{{or .Off .Name}}{{not .Off}}", "webfalsewebtrue"),
    ("{{and .Off (index .List 99)}}", "false"),
    ("{{json .Map}}{{json .Name}}{{json .Nothing}}", '{"b":2,"a":1,"c.d":"dotted"}"web"null'),
    ('{{json "<>&"}}', '"<>&"'),
    ('{{split .Text " "}}{{join .List "+"}}', "[hello wide world]a+b+c"),
    ("{{truncate .Text 5}}{{pad .Name 1 2}}|", "hello web  |"),
    ('{{`raw \\n`}}{{\'a\'}}{{"tab\\t"}}{{"\\u00e9\\x41"}}', "raw \\n97tab\téA"),
    ("{{0x10}}{{1_000}}{{1e3}}{{-5}}{{0b11}}", "1610001000-53"),
    ('{{html "<a>"}}{{urlquery "a b&c"}}{{js "it\'s"}}', "&lt;a&gt;a+b%26cit's"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ('{{(printf "%s" .Name) | printf "%s-%s" "x"}}', "x-web"),
]


@pytest.mark.parametrize("source,expected", GOOD)
def test_renders(source: str, expected: str) -> None:
    assert Template(source).render(DATA) == expected


BAD_SYNTAX = [
    ("{{.Name", "template: :1: unclosed action"),
    ("a\n{{.Name", "template: :2: unclosed action"),
    ("{{end}}", "template: :1: unexpected {{end}}"),
    ("{{else}}", "template: :1: unexpected {{else}}"),
    ("{{if .A}}", "template: :1: unexpected EOF"),
    ("{{if}}{{end}}", "template: :1: missing value for if"),
    ("{{}}", "template: :1: missing value for command"),
    ("{{.Name | }}", "template: :1: missing value for command"),
    ("{{nope}}", 'template: :1: function "nope" not defined'),
    ("{{$x}}", 'template: :1: undefined variable "$x"'),
    ('{{"open}}', "template: :1: unterminated quoted string"),
    ("{{`open}}", "template: :1: unterminated raw quoted string"),
    ("{{/* open", "template: :1: unclosed comment"),
    ("{{break}}", "template: :1: {{break}} outside {{range}}"),
    ("{{)}}", "template: :1: unexpected right paren"),
    ("{{(.A}}", "template: :1: unclosed left paren"),
]


@pytest.mark.parametrize("source,message", BAD_SYNTAX)
def test_refuses(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(source)
    assert str(caught.value) == message


BAD_RUNS = [
    ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
    ("x\ny {{.Foo}}", 'template: :2:4: executing "" at <.Foo>: map has no entry for key "Foo"'),
    ("{{.Deep.Foo}}", 'template: :1:7: executing "" at <.Deep.Foo>: map has no entry for key "Foo"'),
    ("{{.Name.Foo}}", 'template: :1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type string'),
    ("{{.Nothing.Foo}}", 'template: :1:10: executing "" at <.Nothing.Foo>: nil pointer evaluating interface {}.Foo'),
    (
        "{{index .List 9}}",
        'template: :1:2: executing "" at <index .List 9>: error calling index: index out of range: 9',
    ),
    ("{{len .Count}}", 'template: :1:2: executing "" at <len .Count>: error calling len: len of type int'),
    (
        "{{eq .Name 1}}",
        'template: :1:2: executing "" at <eq .Name 1>: error calling eq: incompatible types for comparison',
    ),
    ("{{range .Name}}{{end}}", 'template: :1:8: executing "" at <.Name>: range can\'t iterate over web'),
    ("{{.Name 1}}", 'template: :1:2: executing "" at <.Name>: Name has arguments but cannot be invoked as function'),
    (
        "{{.AVeryLongNameThatIsCut}}",
        'template: :1:2: executing "" at <.AVeryLongNameThatIs...>: map has no entry for key "AVeryLongNameThatIsCut"',
    ),
]


@pytest.mark.parametrize("source,message", BAD_RUNS)
def test_fails(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(source).render(DATA)
    assert str(caught.value) == message


class Person(Record):
    type_name = "*test.Person"

    def field(self, name: str) -> Any:
        return {"Name": "Ada", "Greet": lambda other: f"hello {other}"}[name]


def test_records_have_fields_and_methods() -> None:
    assert Template('{{.Name}} {{.Greet "you"}} {{.Greet .Name | upper}}').render(Person()) == "Ada hello you HELLO ADA"
    with pytest.raises(TemplateError, match=r"can't evaluate field Age in type \*test.Person"):
        Template("{{.Age}}").render(Person())
    with pytest.raises(TemplateError, match="wrong number of args for Greet"):
        Template("{{.Greet}}").render(Person())


INSPECTED = {
    "State": {"Status": "running"},
    "Config": {"Labels": {"a": "1"}, "Cmd": None, "Volumes": None},
    "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {}}, "PidsLimit": None},
}


@pytest.mark.parametrize(
    "source,expected",
    [
        ("{{.State.Health}}{{if .State.Health}}x{{end}}", "<nil>"),
        ("{{.Config.Labels.a}}{{.Config.Labels.b}}", "1<no value>"),
        ("{{.Config.Cmd}}{{.Config.Volumes}}{{.HostConfig.PidsLimit}}", "[]map[]<nil>"),
        ("{{len .Config.Cmd}}{{range .Config.Cmd}}x{{end}}{{json .Config.Cmd}}", "0null"),
        ("{{.HostConfig.LogConfig.Config}}", "map[]"),
    ],
)
def test_inspected_objects_are_structs_and_maps(source: str, expected: str) -> None:
    assert Template(source).render(INSPECTED, lookup) == expected


@given(st.text(max_size=60))
@example("{{")
@example("{{.A -}}")
@example("{{- }}")
@example("{{-}}")
@example("{{'}}")
@example("{{1.}}{{.1}}")
@settings(max_examples=300)
def test_any_text_is_a_template_or_an_error(source: str) -> None:
    _try(source)


PIECES = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    ".",
    ".Name",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    "if",
    "else",
    "end",
    "range",
    "with",
    "break",
    "index",
    "len",
    "printf",
    '"%s"',
    "1",
    "2.5",
    "nil",
    "true",
    "/*",
    "*/",
    "x",
    "\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=20))
@settings(max_examples=500)
def test_any_pieces_are_a_template_or_an_error(pieces: list[str]) -> None:
    _try("".join(pieces))


def _try(source: str) -> None:
    try:
        Template(source).render(DATA, lenient_lookup)
    except TemplateError as error:
        assert str(error).startswith("template: :")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_reads_back(value: Any) -> None:
    assert json.loads(Template("{{json .}}").render(value)) == value


@given(st.text(alphabet=st.characters(exclude_characters="{")))
def test_text_without_actions_is_itself(text: str) -> None:
    assert Template(text).render(None) == text


@pytest.mark.parametrize(
    "value,text",
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-5, "1e-05"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (123456789.125, "123456789.125"),
    ],
)
def test_floats(value: float, text: str) -> None:
    assert show_float(value) == text


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(TemplateError, match="nested too deeply"):
        Template("{{" + "(" * 500 + "1" + ")" * 500 + "}}")


def test_the_last_token_is_the_end() -> None:
    assert tokens("a{{.B}}")[-1].kind == "end"
