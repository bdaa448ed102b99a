"""Every instruction and flag: what it becomes, and what is said of one that is wrong, where, and with which hint."""

import dataclasses
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cove.dockerfile import DockerfileError, Options, Scope, parse, parse_trigger, plan
from cove.dockerfile import instructions as types
from cove.dockerfile.checks import Surroundings, check_text
from cove.dockerfile.failure import Location
from cove.dockerfile.heredocs import Heredoc
from cove.dockerfile.mounts import Device, Mount, parse_mount
from cove.dockerfile.source import LINE_LIMIT, SIZE_LIMIT
from cove.dockerfile.splitting import Pair

PLACE = {"keyword", "code", "location", "comments"}


def only(text: str) -> types.Instruction:
    """The one instruction after a FROM."""
    (instruction,) = parse(f"FROM a\n{text}\n".encode()).stages[0].instructions
    return instruction


def fields(instruction: types.Instruction) -> dict[str, Any]:
    """What differs from the defaults, without where it stands."""
    found = {}
    for field in dataclasses.fields(instruction):
        value = getattr(instruction, field.name)
        if field.name not in PLACE and value != field.default:
            found[field.name] = value
    return found


def heredoc(name: str, content: str, **more: Any) -> Heredoc:
    return Heredoc(name, more.pop("expand", True), more.pop("chomp", False), content=content, **more)


GOLDEN: list[tuple[str, type[types.Instruction], dict[str, Any]]] = [
    ("RUN echo  a   b", types.Run, {"words": ("echo  a   b",), "shell": True}),
    ('RUN ["a", "b c"]', types.Run, {"words": ("a", "b c"), "shell": False}),
    ("RUN ['a']", types.Run, {"words": ("['a']",), "shell": True}),
    ("RUN []", types.Run, {"words": (), "shell": False}),
    ("RUN", types.Run, {"words": (), "shell": True}),
    ("RUN --network=none x", types.Run, {"words": ("x",), "shell": True, "network": "none"}),
    ("RUN --network=host --security=insecure x", types.Run, {
        "words": ("x",), "shell": True, "network": "host", "security": "insecure"}),
    ("RUN --device=vendor.com/gpu=all,required x", types.Run, {
        "words": ("x",), "shell": True, "devices": (Device("vendor.com/gpu=all", True),)}),
    ('RUN --mount=type=cache,target=/c --mount="from=b,target=/d e" x', types.Run, {
        "words": ("x",), "shell": True, "mount_flags": ("type=cache,target=/c", "from=b,target=/d e"),
        "mount_sources": ("", "b")}),
    ("RUN <<EOF\na\n$b\nEOF", types.Run, {
        "words": ("<<EOF",), "shell": True, "heredocs": (heredoc("EOF", "a\n$b\n"),)}),
    ("RUN <<-EOF\n\ta\n\tEOF", types.Run, {
        "words": ("<<-EOF",), "shell": True, "heredocs": (heredoc("EOF", "\ta\n", chomp=True),)}),
    ("RUN python3 <<'EOF' 3<<\"B C\" x\na\nEOF\nb\nB C", types.Run, {
        "words": ("python3 <<'EOF' 3<<\"B C\" x",), "shell": True,
        "heredocs": (heredoc("EOF", "a\n", expand=False), heredoc("B C", "b\n", expand=False, descriptor=3))}),
    ("RUN <<EOF\n\\\nEOF", types.Run, {"words": ("<<EOF",), "shell": True, "heredocs": (heredoc("EOF", "\\\n"),)}),
    ("RUN a \\\n  b \\\n# gone\n  c", types.Run, {"words": ("a   b   c",), "shell": True}),
    ("RUN a \\ \t\n b", types.Run, {"words": ("a  b",), "shell": True}),
    ("RUN a \\\\\nUSER x", types.Run, {}),
    ("CMD a b", types.Cmd, {"words": ("a b",), "shell": True}),
    ('CMD ["a", "\\u00e9\\n"]', types.Cmd, {"words": ("a", "é\n"), "shell": False}),
    ("CMD", types.Cmd, {"words": (), "shell": True}),
    ('ENTRYPOINT ["a"]', types.Entrypoint, {"words": ("a",), "shell": False}),
    ("ENTRYPOINT []", types.Entrypoint, {"words": (), "shell": False}),
    ("COPY a b/ /c/", types.Copy, {"sources": ("a", "b/"), "destination": "/c/"}),
    ('COPY ["a b", "/c d"]', types.Copy, {"sources": ("a b",), "destination": "/c d"}),
    ("COPY --from=x --chown=1:2 --chmod=0644 --link --parents --exclude=*.a --exclude=b a /", types.Copy, {
        "sources": ("a",), "destination": "/", "origin": "x", "chown": "1:2", "chmod": "0644", "link": True,
        "parents": True, "excludes": ("*.a", "b")}),
    ("COPY --chmod=u+x,go= --link=false a /", types.Copy, {
        "sources": ("a",), "destination": "/", "chmod": "u+x,go="}),
    ("COPY --  --a /", types.Copy, {"sources": ("--a",), "destination": "/"}),
    ("COPY <<a <<'b' c /d/\n1\na\n2\nb", types.Copy, {
        "sources": ("c",), "destination": "/d/", "contents": (heredoc("a", "1\n"), heredoc("b", "2\n", expand=False))}),
    ("ADD --checksum=sha256:0 --keep-git-dir --unpack=false --exclude=x https://h/a /b", types.Add, {
        "sources": ("https://h/a",), "destination": "/b", "checksum": "sha256:0", "keep_git_dir": True, "unpack": False,
        "excludes": ("x",)}),
    ("ADD --chown=a --chmod=1 --link <<EOF /x\ny\nEOF", types.Add, {
        "sources": (), "destination": "/x", "chown": "a", "chmod": "1", "link": True,
        "contents": (heredoc("EOF", "y\n"),)}),
    ("ENV a=b", types.Env, {"pairs": (Pair("a", "b"),)}),
    ("ENV a=\"b c\" d='e'  f=g\\ h i=", types.Env, {
        "pairs": (Pair("a", '"b c"'), Pair("d", "'e'"), Pair("f", "g\\ h"), Pair("i", ""))}),
    ("ENV a b  c=d", types.Env, {"pairs": (Pair("a", "b  c=d", legacy=True),)}),
    ("LABEL a.b=c \"d e\"='f'", types.Label, {"pairs": (Pair("a.b", "c"), Pair('"d e"', "'f'"))}),
    ("ARG a b=c d=", types.Arg, {
        "arguments": (types.Argument("a"), types.Argument("b", "c"), types.Argument("d", ""))}),
    ("EXPOSE 80 443/tcp 53/udp", types.Expose, {"ports": ("443/tcp", "53/udp", "80")}),
    ("VOLUME /a /b", types.Volume, {"paths": ("/a", "/b")}),
    ('VOLUME ["/a b"]', types.Volume, {"paths": ("/a b",)}),
    ("USER a:b", types.User, {"user": "a:b"}),
    ("WORKDIR /a b", types.Workdir, {"path": "/a b"}),
    ("STOPSIGNAL SIGINT", types.StopSignal, {"signal": "SIGINT"}),
    ('SHELL ["/bin/sh", "-c"]', types.Shell, {"words": ("/bin/sh", "-c")}),
    ("MAINTAINER a b", types.Maintainer, {"author": "a b"}),
    ("HEALTHCHECK NONE", types.Healthcheck, {"test": ("NONE",)}),
    ("HEALTHCHECK cmd a b", types.Healthcheck, {"test": ("CMD-SHELL", "a b")}),
    ('HEALTHCHECK --interval=1m --timeout=2s --start-period=3ms --start-interval=4s --retries=5 CMD ["a"]',
     types.Healthcheck, {"test": ("CMD", "a"), "interval": 60 * 10**9, "timeout": 2 * 10**9, "start_period": 3 * 10**6,
                         "start_interval": 4 * 10**9, "retries": 5}),
    ("ONBUILD copy a /b", types.Onbuild, {"trigger": "copy a /b"}),
    ("onbuild RUN <<EOF\na\nEOF", types.Onbuild, {"trigger": "RUN <<EOF\na\nEOF"}),
    ('ONBUILD RUN ["a"]', types.Onbuild, {"trigger": 'RUN ["a"]'}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "expected"), GOLDEN, ids=[text[:40] for text, _, _ in GOLDEN])
def test_an_instruction_is_read(text: str, kind: type[types.Instruction], expected: dict[str, Any]) -> None:
    if not expected:  # an escaped escape at the end of a line does not continue it
        assert len(parse(f"FROM a\n{text}\n".encode()).stages[0].instructions) == 2
        return
    instruction = only(text)
    assert type(instruction) is kind
    assert fields(instruction) == expected


@pytest.mark.parametrize(
    ("text", "image", "stage", "platform"),
    [
        ("FROM a:b@sha256:c", "a:b@sha256:c", "", ""),
        ("FROM --platform=$BUILDPLATFORM a As B.c-1", "a", "b.c-1", "$BUILDPLATFORM"),
        ("from scratch", "scratch", "", ""),
    ],
)
def test_a_from_is_read(text: str, image: str, stage: str, platform: str) -> None:
    start = parse(text.encode()).stages[0].start
    assert (start.image, start.stage, start.platform) == (image, stage, platform)


ERRORS: list[tuple[str, str]] = [
    ("RUNN x", "unknown instruction: RUNN (did you mean RUN?)"),
    ("cpoy a b", "unknown instruction: cpoy (did you mean copy?)"),
    ("NOTHING x", "unknown instruction: NOTHING"),
    ("FROM", "FROM requires either one or three arguments"),
    ("FROM a b", "FROM requires either one or three arguments"),
    ("FROM a AT b", "FROM requires either one or three arguments"),
    ("FROM a AS 1b", 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'),
    ("FROM --platfrom=x a", "unknown flag: --platfrom (did you mean platform?)"),
    ("RUN --network=x y", 'invalid network mode "x"'),
    ("RUN --security=x y", 'security "x" is not valid'),
    ("RUN --network y", "missing a value on flag: --network"),
    ("RUN --network=none --network=none y", "duplicate flag specified: --network"),
    ("RUN --mount=from=$a y", "'from' doesn't support variable expansion, define alias stage instead"),
    ("RUN --device=a,b y", "invalid field 'b' must be a key=value pair"),
    ("RUN --device=a,name=b y", "device name already set to a"),
    ("RUN --device=a,required=x y", "invalid value for required: x"),
    ("RUN --device=name=a,requird=1 y", "unexpected key 'requird' in 'requird=1' (did you mean required?)"),
    ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not be determined"),
    ("ADD", "ADD requires at least two arguments, but only one was provided. Destination could not be determined"),
    ("COPY --form=x a b", "unknown flag: --form (did you mean from?)"),
    ("COPY --link=maybe a b", "expecting boolean value for flag --link, not: maybe"),
    ("COPY --link= a b", "missing a value on flag: --link"),
    ("COPY --checksum=x a b", "unknown flag: --checksum"),
    ("ADD --from=x a b", "unknown flag: --from"),
    ("COPY a <<b\nb", "COPY cannot accept a heredoc as a destination"),
    ("ENV", "ENV requires at least one argument"),
    ("ENV =b", "ENV names can not be blank"),
    ("ENV --x a=b", "unknown flag: --x"),
    ("LABEL", "LABEL requires at least one argument"),
    ("ARG", "ARG requires at least one argument"),
    ("ARG =b", "ARG names can not be blank"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ('VOLUME [" "]', "VOLUME specified can not be an empty string"),
    ("USER", "USER requires exactly one argument"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
    ("MAINTAINER", "MAINTAINER requires exactly one argument"),
    ("SHELL", "SHELL requires at least one argument"),
    ("SHELL []", "SHELL requires at least one argument"),
    ("SHELL sh -c", "SHELL requires the arguments to be in JSON form"),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK RUN x", 'Unknown type "RUN" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
    ("HEALTHCHECK --timeout=x CMD x", 'time: invalid duration "x"'),
    ("HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
    ("HEALTHCHECK --retries=9999999999 CMD x", 'strconv.ParseInt: parsing "9999999999": value out of range'),
    ("HEALTHCHECK --retrys=1 CMD x", "unknown flag: --retrys (did you mean retries?)"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[text[:40] for text, _ in ERRORS])
def test_a_wrong_instruction_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(f"FROM a\n\n{text}\n".encode())
    assert caught.value.message == f"dockerfile parse error on line 3: {message}"
    assert caught.value.location is not None
    assert caught.value.location.first == 3


SHAPELESS: list[tuple[str, str, int]] = [
    ("", "the Dockerfile cannot be empty", 0),
    ("# a\n\n", "file with no instructions", 2),
    ("ARG a\n", "dockerfile contains no stages to build", 0),
    ("RUN a\n", "no build stage in current context", 1),
    ("FROM a\nENV b\n", "ENV must have two arguments", 2),
    ("FROM a\nLABEL b\n", "LABEL must have two arguments", 2),
    ("FROM a\nENV b=c d\n", 'Syntax error - can\'t find = in "d". Must be of the form: name=value', 2),
    ("FROM a\nRUN [1]\n", "when using JSON array syntax, arrays must be comprised of strings only", 2),
    ("FROM a\nRUN <<EOF\nx\n", "unterminated heredoc", 2),
    ("# escape=x\nFROM a\n", "invalid escape token 'x' does not match ` or \\", 1),
    ("# escape=`\n# escape=`\nFROM a\n", "only one escape parser directive can be used", 2),
    ("FROM a\nRUN " + "x" * LINE_LIMIT, f"dockerfile line greater than max allowed size of {LINE_LIMIT - 1}", 2),
]


@pytest.mark.parametrize(("text", "message", "line"), SHAPELESS, ids=[message[:30] for _, message, _ in SHAPELESS])
def test_a_text_without_the_shape_of_a_dockerfile_is_an_error(text: str, message: str, line: int) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(text.encode())
    assert caught.value.message == message
    assert (caught.value.location.first if caught.value.location else 0) == line


def test_the_place_is_shown_with_a_caret() -> None:
    text = "FROM a\nRUN b\n\tCOPY --form=x c d\n\nRUN e\nRUN f\n"
    with pytest.raises(DockerfileError) as caught:
        parse(text.encode())
    assert caught.value.excerpt("Dockerfile", text) == (
        "Dockerfile:3\n"
        "--------------------\n"
        "   1 |     FROM a\n"
        "   2 |     RUN b\n"
        "   3 | >>> \tCOPY --form=x c d\n"
        "     |     \t     ^^^^^^\n"
        "   4 |     \n"
        "   5 |     RUN e\n"
        "--------------------\n"
    )


def test_directives_are_at_the_top_in_any_case_and_end_with_the_first_other_line() -> None:
    made = parse(b"#SYNTAX = docker/dockerfile:1.20 \n# escape=`\n# other=x\n# check=skip=all\nFROM a\nRUN x `\n y\n")
    assert {name: directive.value for name, directive in made.directives.items()} == {
        "syntax": "docker/dockerfile:1.20",
        "escape": "`",
    }
    run = made.stages[0].instructions[0]
    assert isinstance(run, types.Run)
    assert run.words == ("x  y",)


def test_marks_carriage_returns_and_odd_bytes_are_taken() -> None:
    made = parse(b"\xef\xbb\xbfFROM a\r\nRUN x \\\r\n y\r\nLABEL a=\xff\r\n")
    run, label = made.stages[0].instructions
    assert isinstance(run, types.Run)
    assert run.words == ("x  y",)
    assert isinstance(label, types.Label)
    assert label.pairs == (Pair("a", "\ufffd"),)


def test_comments_belong_to_the_instruction_after_them() -> None:
    made = parse(b"# gone\n#\n# one\n\n# two\nFROM a\n# three\nRUN x\nRUN y\n")
    assert made.stages[0].start.comments == ("one", "two")
    assert [each.comments for each in made.stages[0].instructions] == [("three",), ()]


def test_locations_reach_to_the_end_of_here_documents() -> None:
    made = parse(b"FROM a\nRUN b \\\n c\nRUN <<EOF\nd\nEOF\n")
    assert [each.location for each in made.stages[0].instructions] == [Location(2, 3), Location(4, 6)]


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(DockerfileError, match="the Dockerfile is"):
        parse(b"#" * (SIZE_LIMIT + 1))


def test_triggers_of_a_base_image_are_read_as_if_they_stood_at_the_from() -> None:
    assert parse_trigger("COPY <<EOF /x\na\nEOF", Location(7, 7)).location == Location(7, 7)
    for trigger, message in (
        ("FROM x", "FROM isn't allowed"),
        ("RUN a\nRUN b", "single expression"),
        ("RUNN", "dockerfile parse error on line 7: unknown instruction: RUNN (did you mean RUN?)"),
    ):
        with pytest.raises(DockerfileError, match=message.replace("(", r"\(").replace("?)", r"\?\)")) as caught:
            parse_trigger(trigger, Location(7, 7))
        assert caught.value.location == Location(7, 7)


MOUNTS: list[tuple[str, Mount]] = [
    ("target=/a", Mount(target="/a")),
    ("type=bind,src=/b,dst=/a,rw", Mount(source="/b", target="/a", readonly=False)),
    ("type=bind,from=x,source=b,destination=/a,readonly=false", Mount("bind", "x", "b", "/a", False)),
    ("type=cache,target=/c,id=i,sharing=LOCKED,mode=0700,uid=1,gid=2,ro", Mount(
        "cache", target="/c", id="i", sharing="locked", mode=0o700, uid=1, gid=2)),
    ("type=cache,target=/c", Mount("cache", target="/c", readonly=False)),
    ("type=tmpfs,target=/t,size=64m", Mount("tmpfs", target="/t", readonly=False, size=64 << 20)),
    ("type=secret,id=s,required,env=TOKEN,mode=0400", Mount("secret", id="s", required=True, env="TOKEN", mode=0o400)),
    ("type=secret,id=s,target=/x,required=false", Mount("secret", id="s", target="/x")),
    ("type=ssh,required=true", Mount("ssh", required=True)),
    ('type=bind,"source=a,b",target=/x', Mount(source="a,b", target="/x")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MOUNTS, ids=[text for text, _ in MOUNTS])
def test_a_mount_is_read(text: str, expected: Mount) -> None:
    assert parse_mount(text, lambda word: word) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=cach,target=/a", 'unsupported mount type "cach" (did you mean cache?)'),
        ("type=cache,sharing=lock,target=/a", 'unsupported sharing value "lock"'),
        ("trget=/a", "unexpected key 'trget' in 'trget=/a' (did you mean target?)"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("type=bind,required,target=/a", "unexpected key 'required' for mount type 'bind'"),
        ("type=cache,size=1,target=/a", "unexpected key 'size' for mount type 'cache'"),
        ("type=tmpfs,size=x,target=/a", "invalid value for size: x"),
        ("readonly=x,target=/a", "invalid value for readonly: x"),
        ("type=cache,mode=9,target=/a", "invalid value 9 for mode"),
        ("type=cache,uid=-1,target=/a", "invalid value -1 for uid"),
        ("type=bind,mode=0700,target=/a", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,gid=1,target=/a", 'gid not allowed for "tmpfs" type mounts'),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
        ("type=bind,sharing=shared,target=/a", "invalid cache sharing set for bind mount"),
        ('"type=bind', "failed to parse csv mounts: "),
    ],
)
def test_a_wrong_mount_is_an_error_in_buildkits_words(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_mount(text, lambda word: word)
    assert caught.value.message.startswith(message)


WORDS = [
    *"FROM RUN COPY ADD ENV ARG LABEL CMD ONBUILD HEALTHCHECK EXPOSE SHELL VOLUME WORKDIR USER STOPSIGNAL".split(),
    *"ENTRYPOINT MAINTAINER a b=c AS --from=a --mount=type=cache,target=/x --mount= --platform=linux/amd64".split(),
    *"[ ] \" ' \\ ` $ ${ } ${a:-b} ${a//b/c} ${a##*} <<EOF EOF <<-'E' # 80/tcp / . * \x00 é rm && ; = , --".split(),
    *"--link NONE scratch https://h/x.git#a:b".split(),
    *(
        '["a"]',
        "# escape=`",
        "# check=skip=all",
        "\n",
        "\\\n",
        "\t",
        " ",
        "\r\n",
        "\u2028",
        "rm -rf /x",
        "apt-get install",
    ),
]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=40)


def everything(text: bytes) -> None:
    """Whatever may be done with a text; only DockerfileError may come of it."""
    options = Options(arguments={"a": "1"})
    check_text(text, options, Surroundings())
    try:
        made = plan(parse(text), options)
        for stage in made.stages:
            scope = Scope({"PATH": "/bin"}, made.globals, options.arguments, made.dockerfile.escape)
            for instruction in stage.stage.instructions:
                expanded = scope.enter(instruction).instruction
                if isinstance(expanded, types.Onbuild):
                    parse_trigger(expanded.trigger, instruction.location)
        assert made.order[-1] == made.target
    except DockerfileError as error:
        error.excerpt("Dockerfile", text.decode("utf-8", "replace"))


@settings(max_examples=300, deadline=None)
@given(TEXTS.map(lambda words: " ".join(words).encode("utf-8", "replace")))
@example(b"FROM a\nONBUILD ONBUILD RUN a\n")
def test_no_text_of_dockerfile_words_makes_it_fall_over(text: bytes) -> None:
    everything(text)
    everything(b"FROM a\n" + text)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_fall_over(text: bytes) -> None:
    everything(text)


@pytest.mark.parametrize(
    "text",
    [
        b"FROM a\nRUN " + b"[" * 50_000,
        b"FROM a\n" + b"ONBUILD " * 7000,
        b"FROM a\nENV a=" + b"${a:-" * 12_000,
        b"FROM a\nRUN [" + b"9" * 60_000 + b"]",
        b"FROM a\nRUN a " + b"\\\n" * 50_000,
        b"FROM a\n" + b"RUN x\n" * 100_000,
        b"FROM a\nENV a=aaaaaaaaaaaaaaaa\n" + b"ENV a=$a$a\n" * 60,
        b"FROM a\nRUN " + b" ".join(b"<<E%d" % number for number in range(5000)) + b"\n" * 10_000,
        b"FROM scratch\nCOPY --from=" + b"9" * 6000 + b" a b",
        b"FROM a\nEXPOSE 0-65535 " + b"1-65535 " * 5000,
    ],
    ids=lambda text: text[:24].decode() if isinstance(text, bytes) else "",
)
def test_hostile_texts_are_bounded(text: bytes) -> None:
    everything(text)
