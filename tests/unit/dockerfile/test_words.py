"""Shell words: quotes, escapes and variables as BuildKit takes them, which is not always as a shell does."""

import pytest

from cove.dockerfile import DockerfileError
from cove.dockerfile.words import DEPTH_LIMIT, SIZE_LIMIT, Lexer

ENVIRONMENT = {
    "A": "one",
    "B": "two three",
    "EMPTY": "",
    "PATH": "/usr/lib/x.so.1",
    "STARS": "a*b*c",
    "DOTS": "1.2.3",
    "한": "글",
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}", "one"),
        ("x$A-y", "xone-y"),
        ("$A$B", "onetwo three"),
        ("$AB", ""),
        ("$1A", "A"),
        ("$12", ""),
        ("$@x", "x"),
        ("$", "$"),
        ("$.", "$."),
        ("$한", "글"),
        (r"\$A", "$A"),
        (r"\\$A", r"\one"),
        ("'$A'", "$A"),
        ('"$A"', "one"),
        ('"\\$A \\" \\n"', '$A " \\n'),
        (r"a\ b", "a b"),
        ("trailing\\", "trailing"),
        ("${A:-x}", "one"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NO:-x}", "x"),
        ("${NO-x}", "x"),
        ("${NO:-$A}", "one"),
        ("${NO:-${A:+deep}}", "deep"),
        ("${NO:-'a}b'}", "a}b"),
        (r"${NO:-a\}b}", "a}b"),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NO+x}", ""),
        ("${A?no}", "one"),
        ("${EMPTY?no}", ""),
        ("${PATH#*/}", "usr/lib/x.so.1"),
        ("${PATH##*/}", "x.so.1"),
        ("${PATH%.*}", "/usr/lib/x.so"),
        ("${PATH%%.*}", "/usr/lib/x"),
        ("${PATH#nothing}", "/usr/lib/x.so.1"),
        ("${PATH%?}", "/usr/lib/x.so."),
        ("${PATH#$NO}", "/usr/lib/x.so.1"),
        (r"${STARS#a\*}", "b*c"),
        (r"${STARS%%\**}", "a"),
        ("${DOTS/./-}", "1-2.3"),
        ("${DOTS//./-}", "1-2-3"),
        ("${DOTS//[0-9]/x}", "1.2.3"),
        ("${DOTS/?/x}", "x.2.3"),
        ("${DOTS//*/x}", "x"),
        ("${DOTS///x}", "x1x.x2x.x3x"),
        (r"${PATH//\//:}", ":usr:lib:x.so.1"),
        ("${NO/a/b}", ""),
        (r"${DOTS//./\$0}", r"1\.2\.3"),
        ("< <<x", "< <<x"),
    ],
)
def test_a_word_expands(word: str, expected: str) -> None:
    assert Lexer().expand(word, ENVIRONMENT).text == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("'open", "unexpected end of statement while looking for matching single-quote"),
        ('"open', "unexpected end of statement while looking for matching double-quote"),
        ("${", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:-x}", "syntax error: bad substitution"),
        ("${A", "unsupported modifier (\ufffd) in substitution"),
        ("${A:-x", "syntax error: missing '}'"),
        ("${A=x}", "unsupported modifier (=) in substitution"),
        ("${A:=x}", "unsupported modifier (:=) in substitution"),
        ("${A:#x}", "unsupported modifier (:#) in substitution"),
        ("${NO?}", "NO: is not allowed to be unset"),
        ("${NO:?set $A}", "NO: set one"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${A/x}", "syntax error: missing '/' in ${}"),
        ("${A/x/y", "syntax error: missing '}'"),
        (r"${A#\x}", r"invalid pattern (\x) in substitution: invalid escape '\x'"),
    ],
)
def test_what_is_wrong_with_a_word_is_said_in_buildkits_words(word: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        Lexer().expand(word, ENVIRONMENT)
    assert caught.value.message.startswith("failed to process ")
    assert caught.value.message.endswith(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b  c", ("a", "b", "c")),
        ("a$B", ("atwo", "three")),
        ('a"$B"', ("atwo three",)),
        (r"a\ b", ("a b",)),
        ("  ", ()),
        ("<< EOF rest", ("<< EOF", "rest")),
    ],
)
def test_words_are_cut_after_expansion(text: str, expected: tuple[str, ...]) -> None:
    assert Lexer().split(text, ENVIRONMENT) == expected


def test_the_other_escape_character_escapes() -> None:
    assert Lexer("`").expand(r"C:\$A`$A", ENVIRONMENT).text == r"C:\one$A"


def test_names_that_were_used_and_that_were_not_there_are_told() -> None:
    expansion = Lexer().expand("$A ${NO:-$B} $EMPTY", ENVIRONMENT)
    assert expansion.used == {"A", "B", "EMPTY"}
    assert expansion.missing == {"NO"}


def test_variables_without_a_value_may_stay_as_they_are() -> None:
    lexer = Lexer(keep_unset=True, keep_quotes=True)
    word = "$NO ${NO} ${NO:-x} ${NO#p} ${NO/p/r} '$A' \"$A\""
    assert lexer.expand(word, ENVIRONMENT).text == "$NO ${NO} ${NO:-x} ${NO#p} ${NO/p/r} '$A' \"one\""


def test_in_contents_quotes_mean_nothing() -> None:
    assert Lexer(quoting=False).expand('it\'s "$A"', ENVIRONMENT).text == 'it\'s "one"'


def test_deep_nesting_and_endless_growth_are_refused() -> None:
    with pytest.raises(DockerfileError, match="nested more than"):
        Lexer().expand("${a:-" * (DEPTH_LIMIT + 2) + "}" * (DEPTH_LIMIT + 2), {})
    with pytest.raises(DockerfileError, match="expands to more than"):
        Lexer().expand("$big$big", {"big": "x" * (SIZE_LIMIT // 2 + 1)})


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    value = "a" * 20_000
    assert Lexer().expand("${v##" + "*a" * 30 + "*b}", {"v": value}).text == value
