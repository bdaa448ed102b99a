"""COPY and ADD where the image has a link, a file or a directory already; compared with both of Docker's builders."""

import io
import tarfile
from pathlib import Path

import pytest

from harness.engine import Completed, Engine

BASE = """FROM busybox
RUN mkdir -p /usr/lib /full && touch /full/y && ln -s usr/lib /lib && ln -s ../../../usr/lib /up
RUN echo file >/bad && ln -s nowhere /dangling
"""


def build(engine: Engine, context: Path, text: str, client: str = "cove") -> Completed:
    (context / "Dockerfile").write_text(text)
    run = engine.cove if client == "cove" else engine.docker
    return run("build", "-q", str(context), check=False)


def look(engine: Engine, done: Completed, command: str) -> list[str]:
    assert done.code == 0, done.err
    return engine.docker("run", "--rm", done.out.strip(), "sh", "-c", command).out.splitlines()


def archive(place: Path, *members: tuple[str, str]) -> None:
    """``members``: names with their content, of a directory ``/``, after ``->`` the target of a link, ``=>`` hard."""
    with tarfile.open(place, "w") as made:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content == "/":
                member.type = tarfile.DIRTYPE
            elif content.startswith(("->", "=>")):
                member.type = tarfile.SYMTYPE if content[0] == "-" else tarfile.LNKTYPE
                member.linkname = content[2:]
            else:
                member.size = len(content)
            member.mode = 0o755
            made.addfile(member, io.BytesIO(content.encode()) if member.isreg() else None)


@pytest.mark.parametrize("client", ["cove", "docker"])
def test_archives_go_through_links(daemon: Engine, tmp_path: Path, client: str) -> None:
    """Inside the root, whatever the link says; only an entry of the link's own name takes its place."""
    archive(tmp_path / "x.tar", ("lib/foo.so", "foo"), ("lib/deep/a", "a"), ("up/b", "b"), ("lib/hard", "=>up/b"))
    done = build(daemon, tmp_path, f"{BASE}ADD x.tar /\n", client)
    command = "stat -c %N /lib /up; cd /usr/lib; cat foo.so deep/a b hard; stat -c %h b"
    assert look(daemon, done, command) == ["'/lib' -> 'usr/lib'", "'/up' -> '../../../usr/lib'", "fooabb2"]


def test_an_entry_takes_the_place_of_a_link(daemon: Engine, tmp_path: Path) -> None:
    archive(tmp_path / "x.tar", ("lib", "/"), ("lib/deep/a", "a"), ("bad", "/"), ("bad/z", "z"), ("full", "f"))
    done = build(daemon, tmp_path, f"{BASE}ADD x.tar /\n")
    command = "stat -c '%N %F' /lib /bad /full; ls /usr/lib; cat /lib/deep/a /bad/z /full"
    assert look(daemon, done, command) == ["/lib directory", "/bad directory", "/full regular file", "azf"]


def test_links_of_an_archive_lead_to_its_directories(daemon: Engine, tmp_path: Path) -> None:
    archive(tmp_path / "x.tar", ("usr/lib/a", "a"), ("lib", "->usr/lib"), ("lib/foo", "foo"), ("lib/hard", "=>lib/a"))
    text = "FROM scratch AS made\nADD x.tar /in/\nFROM busybox\nCOPY --from=made /in /in\n"
    command = "stat -c %N /in/lib; cd /in/usr/lib; cat a foo hard; stat -c %h a"
    assert look(daemon, build(daemon, tmp_path, text), command) == ["'/in/lib' -> 'usr/lib'", "afooa2"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("bad/z", "cannot copy to non-directory: /bad"), ("dangling/d", "/dangling: a link to what is not there")],
)
def test_archives_that_lead_nowhere(daemon: Engine, tmp_path: Path, name: str, words: str) -> None:
    archive(tmp_path / "x.tar", (name, "z"))
    done = build(daemon, tmp_path, f"{BASE}ADD x.tar /\n")
    assert done.code == 1 and words in done.err


@pytest.mark.parametrize("line", ["COPY rootfs/ /", "ADD rootfs/ /"])
def test_the_classic_builder_replaces_what_is_in_the_way(daemon: Engine, tmp_path: Path, line: str) -> None:
    """Links and files by directories, and whole directories by files; BuildKit refuses that, after it too."""
    for name in ("lib/x/y", "bad/y", "full"):
        (tmp_path / "rootfs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "rootfs" / name).write_text(name)
    done = build(daemon, tmp_path, f"{BASE}{line}\n", "docker")
    command = "stat -c '%N %F' /lib /bad /full; ls /usr/lib; cat /lib/x/y /bad/y /full"
    assert look(daemon, done, command) == ["/lib directory", "/bad directory", "/full regular file", "lib/x/ybad/yfull"]
    done = build(daemon, tmp_path, f"{BASE}{line}\n")
    assert done.code == 1 and "cannot copy to non-directory: /" in done.err


def test_the_classic_builder_replaces_what_an_earlier_source_has_brought(daemon: Engine, tmp_path: Path) -> None:
    for name in ("one/a/x", "one/b", "two/a", "two/b/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    done = build(daemon, tmp_path, "FROM busybox\nCOPY one/ two/ /to/\n", "docker")
    assert look(daemon, done, "cd /to; find . | sort; cat a b/y") == [".", "./a", "./b", "./b/y", "two/atwo/b/y"]


@pytest.mark.parametrize("first", ["COPY empty/ /to/", "COPY nothing* /to/"])
def test_an_empty_directory_is_not_a_pattern_without_matches(daemon: Engine, tmp_path: Path, first: str) -> None:
    """The one makes the destination, the other nothing, whichever the cache has seen before."""
    (tmp_path / "empty").mkdir()
    lines = ["COPY empty/ /to/", "COPY nothing* /to/"]
    for line in sorted(lines, key=lambda line: line != first):
        done = build(daemon, tmp_path, f"FROM busybox\n{line}\n")
        made = ["/to"] if line == lines[0] else []
        assert look(daemon, done, "ls -d /to 2>/dev/null || true") == made, line
