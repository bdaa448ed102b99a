"""What instructions become: vertices of the graph, and lines of the history, in the words of both builders."""

import asyncio
from typing import Any

import pytest

from cove.build.planning.dialect import BuildKit, Classic
from cove.build.planning.graph import Context, CopyFiles, CopySource, Given, MakeDirectory, Remote, Root, Run, Vertex
from cove.build.planning.planning import Wishes, recipe
from cove.build.planning.recipe import Recipe
from cove.dockerfile import DockerfileError, Options, parse, plan
from cove.errors import NotFound
from cove.images import Image
from cove.platform import Platform, host

CONTEXT = Vertex(Given(Context("tar", "index"), "tar"), name="[context] build")
SHELL = ("/bin/sh", "-c")
NOP = "/bin/sh -c #(nop) "


class Outside:
    """A context, and no images."""

    async def image(self, name: str, platform: Platform) -> Image:
        raise NotFound(f"No such image: {name}")

    def context(self, name: str) -> Vertex | None:
        return CONTEXT if not name else None


def made(text: str, *, classic: bool = False, wishes: Wishes | None = None, **arguments: str) -> Recipe:
    planned = plan(parse(text.encode()), Options(arguments=arguments))
    dialect = Classic() if classic else BuildKit()
    return asyncio.run(recipe(planned, host(), Outside(), wishes or Wishes(arguments=arguments), dialect))


def copied(destination: str, *paths: str, unpack: bool = False, **more: Any) -> CopyFiles:
    return CopyFiles(tuple(CopySource(1, path, unpack=unpack) for path in paths), destination, **more)


OPERATIONS: list[tuple[str, object]] = [
    ("COPY a /b", copied("/b", "a", directory=False)),
    ("WORKDIR /w\nCOPY a /x/../y b/", copied("/w/b", "a", "y", directory=True)),
    ("COPY a ./c/ b/", copied("/b", "a", "c", directory=True)),
    (
        "COPY --chown=1:2 --chmod=u+x --link a /b",
        copied("/b", "a", directory=False, owner="1:2", mode="u+x", link=True),
    ),
    ("ADD a /b", copied("/b", "a", directory=False, unpack=True)),
    ("ADD --unpack=false a /b", copied("/b", "a", directory=False)),
    ("COPY --exclude=x a /b", copied("/b", "a", directory=False, excludes=(("(?s)x", False),))),
    ("WORKDIR /a", MakeDirectory("/a")),
    ("WORKDIR a\nWORKDIR b", MakeDirectory("/a/b")),
    ("COPY <<x /b\ntext\nx", CopyFiles((CopySource(name="x", content=b"text\n"),), "/b", False)),
]


@pytest.mark.parametrize(("lines", "operation"), OPERATIONS, ids=[lines[:30] for lines, _ in OPERATIONS])
def test_what_changes_files_is_a_vertex(lines: str, operation: object) -> None:
    step = made(f"FROM scratch\n{lines}\n").target.steps[-1]
    assert step.vertex is not None
    assert step.vertex.operation == operation
    assert step.vertex.inputs[1:] in ((), (CONTEXT,))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("RUN a", {"arguments": (*SHELL, "a"), "directory": "/", "network": "default"}),
        ('RUN ["a", "b"]', {"arguments": ("a", "b")}),
        ('SHELL ["x"]\nRUN a', {"arguments": ("x", "a")}),
        ("USER u\nWORKDIR /w\nRUN --network=none a", {"user": "u", "directory": "/w", "network": "none"}),
        ("ARG A=1\nENV B=2\nRUN a", {"arguments_used": ("A",)}),
        ("RUN <<EOF\na\nEOF", {"arguments": (*SHELL, "a\n")}),
        (
            "RUN <<EOF\n#!x\nEOF",
            {"arguments": ("/dev/pipes/EOF",), "extra_files": (("/dev/pipes/EOF", b"#!x\n"),)},
        ),
    ],
)
def test_a_program_is_run_as_the_stage_says(lines: str, expected: dict[str, object]) -> None:
    vertex = made(f"FROM scratch\n{lines}\n").target.root
    assert isinstance(vertex.operation, Run)
    found = {name: getattr(vertex.operation, name) for name in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("line", "buildkit", "classic"),
    [
        ("RUN a", "RUN /bin/sh -c a # buildkit", "/bin/sh -c a"),
        ("COPY a /b", "COPY a /b # buildkit", NOP + "COPY {files} in /b "),
        ("ADD --chown=u a /b", "ADD --chown=u a /b # buildkit", NOP + "ADD --chown=u{files} in /b "),
        ("COPY --parents --link a /b", "COPY --parents a /b # buildkit", NOP + "COPY {files} in /b "),
        ("COPY --from=c a /b", "COPY a /b # buildkit", NOP + "COPY {files} in /b "),
        ("COPY <<E a /b/\nx\nE", "COPY a <<E /b/ # buildkit", NOP + "COPY {files} in /b/ "),
        ("ARG b=1 a=2\nRUN x", "RUN |2 b=1 a=2 /bin/sh -c x # buildkit", "|2 a=2 b=1 /bin/sh -c x"),
        ("RUN <<E\nx\nE", "RUN /bin/sh -c x\n # buildkit", "/bin/sh -c x\n"),
        ("RUN cat <<E\nx\nE", "RUN /bin/sh -c cat <<E\nx\nE # buildkit", "/bin/sh -c cat <<E\nx\nE"),
        (
            "HEALTHCHECK --timeout=90s --retries=3 CMD a b",
            "HEALTHCHECK {Test:[CMD-SHELL a b] Interval:0s Timeout:1m30s StartPeriod:0s StartInterval:0s Retries:3}",
            NOP + ' HEALTHCHECK &{["CMD-SHELL" "a b"] "0s" "1m30s" "0s" \'\\x03\'}',
        ),
        ("WORKDIR /w", "WORKDIR /w", NOP + "WORKDIR /w"),
        ("ENV a=b c=d", "ENV a=b c=d", NOP + " ENV a=b c=d"),
        ("LABEL a=b", "LABEL a=b", NOP + " LABEL a=b"),
        ("ARG a=b", "ARG a=b", NOP + " ARG a=b"),
        ("EXPOSE 80 90-91/udp", "EXPOSE [80/tcp 90/udp 91/udp]", NOP + " EXPOSE 80 90-91/udp"),
        ("VOLUME /v", "VOLUME [/v]", NOP + " VOLUME [/v]"),
        ("USER u", "USER u", NOP + " USER u"),
        ('CMD ["a"]', 'CMD ["a"]', NOP + ' CMD ["a"]'),
        ("ENTRYPOINT a", 'ENTRYPOINT ["/bin/sh" "-c" "a"]', NOP + ' ENTRYPOINT ["/bin/sh" "-c" "a"]'),
        ("STOPSIGNAL SIGINT", "STOPSIGNAL SIGINT", NOP + " STOPSIGNAL SIGINT"),
        ("ONBUILD RUN a", "", NOP + " ONBUILD RUN a"),
        ("MAINTAINER m", "MAINTAINER m", NOP + " MAINTAINER m"),
    ],
)
def test_what_the_history_says(line: str, buildkit: str, classic: str) -> None:
    text = f"FROM scratch AS c\nFROM scratch\n{line}\n"
    assert made(text).target.steps[-1].created_by == buildkit
    assert made(text, classic=True).target.steps[-1].created_by == classic


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN --security=insecure a", "security.insecure is not allowed"),
        ("RUN --device=v/c=d a", "device v/c=d is not allowed"),
        ("ADD --checksum=sha256:0 a /b", r"checksum requires HTTP\(S\) or Git sources"),
        ("ADD --checksum=sha256:0 https://h/a https://h/b /c/", "checksum can't be specified for multiple sources"),
        ("COPY a b /c", "the destination must be a directory and end with a /"),
        ("COPY --chmod=9 a /b", "invalid chmod parameter"),
        ("COPY [ /b", "syntax error in pattern: ["),
        ("FROM none", "No such image: none"),
    ],
)
def test_what_cannot_be_planned(line: str, message: str) -> None:
    with pytest.raises((DockerfileError, NotFound), match=message.replace("[", r"\[")) as caught:
        made(f"FROM scratch\n{line}\n")
    if isinstance(caught.value, DockerfileError):
        assert caught.value.location is not None and caught.value.location.first == 2


def test_stages_share_what_they_have_in_common() -> None:
    found = made(
        "FROM scratch AS a\nCOPY x /x\nFROM a AS b\nCOPY --from=a /x /y\nFROM scratch AS c\nCOPY z /z\nFROM b\n"
    )
    assert [stage.label for stage in found.stages] == ["a", "b", "stage-3"]  # nobody needs c
    copy = found.stages[1].root
    assert copy.inputs == (found.stages[0].root, found.stages[0].root)
    assert found.target.root is copy and isinstance(found.stages[0].start.operation, Given)
    assert found.stages[0].start.operation.result == Root()


def test_what_comes_from_elsewhere_is_a_vertex_of_its_own() -> None:
    for sources, checksum in (
        ("https://h/a git@h:r.git#v1", ""),
        ("https://h/a", "sha256:0"),
        ("git@h:r.git#v1", "01ab"),
    ):
        vertex = made(f"FROM scratch\nADD --checksum={checksum} {sources} /b/\n").target.root
        remote = [other.operation for other in vertex.inputs[2:]]
        assert remote == [Remote(source, checksum) for source in sources.split()]
