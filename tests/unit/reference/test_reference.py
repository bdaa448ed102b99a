import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.reference import Reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("someone/tool", "docker.io/someone/tool", "someone/tool"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/a", "localhost/a", "localhost/a"),
        ("LOCAL/a", "LOCAL/a", "LOCAL/a"),
        ("host:5000/a/b:t", "host:5000/a/b:t", "host:5000/a/b:t"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}"),
        (f"a:t@{DIGEST}", f"docker.io/library/a:t@{DIGEST}", f"a:t@{DIGEST}"),
        ("a__b-c--d.e", "docker.io/library/a__b-c--d.e", "a__b-c--d.e"),
    ],
)
def test_canonical_and_familiar(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar) == (canonical, familiar)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("a/Foo:x", "invalid reference format: repository name (a/Foo) must be lowercase"),
        ("", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:-x", "invalid reference format"),
        ("a:" + "x" * 129, "invalid reference format"),
        ("a/", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("a@sha256:abc", "invalid reference format"),
        ("a@sha999:" + "0" * 64, f"unsupported digest algorithm: {'sha999:' + '0' * 64!r}"),
        ("a@sha256:" + "0" * 63, f"invalid checksum digest length: {'sha256:' + '0' * 63!r}"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        ("0" * 64, f"invalid repository name ({'0' * 64}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Reference.parse(text)
    assert caught.value.message == message


def test_default_tag() -> None:
    assert str(Reference.parse("a").with_default_tag()) == "docker.io/library/a:latest"
    assert Reference.parse("a:t").with_default_tag().tag == "t"
    assert Reference.parse(f"a@{DIGEST}").with_default_tag().tag == ""


component = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
domain = st.sampled_from(["docker.io", "localhost", "example.com", "h:5000", "[::1]:5000"])
tag = st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True))


@given(domain, st.lists(component, min_size=1, max_size=4), tag, st.sampled_from(["", DIGEST]))
def test_both_forms_are_read_back(where: str, path: list[str], label: str, digest: str) -> None:
    if where == "docker.io" and len(path) == 1:
        path = ["library", *path]
    reference = Reference(where, "/".join(path), label, digest)
    assert Reference.parse(str(reference)) == reference
    if where != "docker.io" or path[0] not in ("localhost", "docker.io"):
        shown = reference.familiar
        first = shown.split("/")[0]
        if where != "docker.io" or "/" not in shown or "." not in first:
            assert Reference.parse(shown) == reference


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(str(reference)) == reference
