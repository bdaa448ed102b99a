"""``.dockerignore`` as moby's patternmatcher takes it."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.dockerfile.ignore import Matcher, Pattern, parse_ignore_file
from cove.errors import InvalidArgument

MATCHING = """
**              file
**              file/below
**/             file
**/**           dir/file
dir/**          dir/file
dir/**          dir/one/two/file
**/dir          dir
**/dir          dir/file
**/dir          x/dir/file
**/two/*        one/two/file
**/two/**       one/two/three/file
**file          file
**file          dir/file
**file          dir/anyfile
**/file         dir/dir/file
**/file*        dir/dir/file.txt
**/file*.txt*   dir/dir/file.txt
**/**/*.txt     file.txt
a**/*.txt       a/file.txt
a**/*.txt       a/dir/dir/file.txt
a/*.txt         a/file.txt
a/*.txt**       a/file.txt
a[b-d]e         ace
a[^b-d]e        aze
.*              .foo
abc.def         abc.def
abc?def         abcZdef
abc/**          abc/def/ghi
a(b)c/def       a(b)c/def
a.|)$(}+{bc     a.|)$(}+{bc
a\\*b            a*b
a\\\\             a\\
node_modules    node_modules/x/y
*/temp*         one/temporary/file
dir/            dir/file
./dir/../dir    dir
x/*/z           x/y/z/w
""".split("\n")[1:-1]

NOT_MATCHING = """
**/**/*.txt2    dir/dir/file.txt
a/*.txt         a/dir/file.txt
a[b-d]e         ae
a[b-d]e         aae
.*              foo
abc.def         abcZdef
abc?def         abcdef
abc?def         abc/def
abc/**          abc
**/.foo         bar.foo
a(b)c/def       a(b)c/xyz
*/temp*         temporary
*/*/temp*       one/temporary
temp?           temp
/dir            dir
x/*/z           x/a/b/z
""".split("\n")[1:-1]


@pytest.mark.parametrize("case", MATCHING)
def test_a_pattern_leaves_a_path_out(case: str) -> None:
    pattern, path = case.split()
    assert Matcher([pattern]).ignores(path)


@pytest.mark.parametrize("case", NOT_MATCHING)
def test_a_pattern_does_not_match(case: str) -> None:
    pattern, path = case.split()
    assert not Matcher([pattern]).ignores(path)


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        (["**", "!util/docker/web"], "util/docker/web/foo", False),
        (["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", True),
        (["**", "!dist/*.whl"], "dist/a.whl", False),
        (["**", "!dist/*.whl"], "dist/a.tar", True),
        (["*.md", "!README*.md", "README-secret.md"], "README.md", False),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*.md", "README-secret.md", "!README*.md"], "README-secret.md", False),
        (["!a", "a"], "a", True),
        (["a", "!a/b", "a/b/c"], "a/b/d", False),
        (["a", "!a/b", "a/b/c"], "a/b/c", True),
        (["a", "!**/keep"], "a/x/keep", False),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns: list[str], path: str, ignored: bool) -> None:
    assert Matcher(patterns).ignores(path) == ignored


def test_a_directory_that_is_left_out_is_gone_into_only_for_exceptions() -> None:
    matcher = Matcher(["**", "!src/*.c", "!doc"])
    assert matcher.may_bring_back("src")
    assert matcher.may_bring_back("src/deep")
    assert not matcher.may_bring_back("other")
    assert not matcher.may_bring_back("documents")
    assert Matcher(["a", "!**/keep"]).may_bring_back("a")
    assert not Matcher(["a"]).may_bring_back("a")


@pytest.mark.parametrize("pattern", ["a[b-d", "[]", "[-x]", "a\\", "[a-]", "[x-", "!", "[^]", "a[\\", "[\\x"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        Matcher([pattern])


def test_an_ignore_file_has_comments_blank_lines_slashes_and_a_mark() -> None:
    text = b"\xef\xbb\xbf# comment\n\n  # no comment\n/abs\n  a/./b/../c/  \n! /x\n!\n/\n\t\nz\r\n"
    assert parse_ignore_file(text) == ["# no comment", "abs", "a/c", "!x", "!", "/", "z"]


def test_bytes_that_are_no_text_match_wildcards() -> None:
    assert Matcher(["dir/?"]).ignores("dir/\udcff")


def test_a_newline_in_a_name_does_not_end_it() -> None:
    assert not Matcher(["*.txt"]).ignores("a.txt\n")
    assert Matcher(["dir/**"]).ignores("dir/a\nb")


@given(
    st.lists(st.text(alphabet="ab/*?!.[]^-\\", max_size=8), max_size=5),
    st.lists(st.text(alphabet="ab.", min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_going_down_says_the_same_as_asking_for_a_path(patterns: list[str], parts: list[str]) -> None:
    try:
        matcher = Matcher(patterns)
    except InvalidArgument:
        return
    path = "/".join(parts)
    above: tuple[bool, ...] = ()
    for depth in range(len(parts)):
        ignored, above = matcher.step("/".join(parts[: depth + 1]), above)  # type: ignore[assignment]
        if ignored and depth < len(parts) - 1 and not matcher.may_bring_back("/".join(parts[: depth + 1])):
            assert matcher.ignores(path)
            return
    assert matcher.ignores(path) == ignored


@given(st.text(alphabet="ab/*?.+", min_size=1, max_size=8), st.text(alphabet="ab/.\n", min_size=1, max_size=8))
def test_the_quick_ways_say_what_the_expression_says(pattern: str, path: str) -> None:
    parsed = Pattern.parse(pattern)
    matched, _ = Matcher([pattern]).step(path, ())
    assert matched == (re.fullmatch(parsed.expression, path) is not None)


def test_many_stars_take_no_time() -> None:
    start = time.process_time()
    assert not Matcher(["a*" * 40 + "b"]).ignores("a" * 3000)
    assert time.process_time() - start < 2
