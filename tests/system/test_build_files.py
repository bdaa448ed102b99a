"""COPY, ADD and WORKDIR: which files an image gets, and from where."""

import io
import tarfile
from pathlib import Path

import pytest

from harness.engine import Completed, Engine


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name, text in {
        "f": "hello\n",
        "dir/a.txt": "a\n",
        "dir/b.md": "b\n",
        "dir/sub/c.txt": "c\n",
        "x y": "s\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "dir" / "link").symlink_to("/etc/passwd")
    (tmp_path / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


def built(engine: Engine, context: Path, dockerfile: str, look: str, *flags: str) -> str:
    """Build, and run a command in the image."""
    (context / "Dockerfile").write_text(dockerfile)
    image = engine.cove("build", "-q", *flags, str(context)).out.strip()
    return engine.docker("run", "--rm", image, "sh", "-c", look).out


def refused(engine: Engine, context: Path, dockerfile: str) -> Completed:
    (context / "Dockerfile").write_text(dockerfile)
    done = engine.cove("build", "-q", str(context), check=False)
    assert done.code == 1
    return done


TREE = "find /to | sort | xargs stat -c '%n %a %u:%g'"


def test_directories_and_links(daemon: Engine, context: Path) -> None:
    out = built(daemon, context, "FROM busybox\nCOPY dir /to\n", TREE)
    assert out.splitlines() == [
        "/to 755 0:0",
        "/to/a.txt 644 0:0",
        "/to/b.md 644 0:0",
        "/to/link 777 0:0",
        "/to/sub 755 0:0",
        "/to/sub/c.txt 644 0:0",
    ]


def test_owners_modes_and_patterns(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox
RUN echo web:x:77:88::/:/bin/sh >>/etc/passwd && echo web:x:99: >>/etc/group
COPY --chown=web --chmod=640 f /to/1
COPY --chown=web:web --chmod=u=rwX,go=rX dir/*.txt dir/sub /to/2/
COPY --chown=5 --exclude=*.md --exclude=sub dir /to/3
COPY --parents dir/./sub/c.txt f /to/4/
COPY ["x y", "/to/5"]
COPY <<one <<two /to/6/
first $HOSTNAME
one
second
two
"""
    out = built(daemon, context, dockerfile, TREE)
    assert out.splitlines() == [
        "/to 755 77:88",
        "/to/1 640 77:88",
        "/to/2 755 77:99",
        "/to/2/a.txt 644 77:99",
        "/to/2/c.txt 644 77:99",
        "/to/3 755 5:5",
        "/to/3/a.txt 644 5:5",
        "/to/3/link 777 5:5",
        "/to/4 755 0:0",
        "/to/4/f 644 0:0",
        "/to/4/sub 755 0:0",
        "/to/4/sub/c.txt 644 0:0",
        "/to/5 644 0:0",
        "/to/6 755 0:0",
        "/to/6/one 644 0:0",
        "/to/6/two 644 0:0",
    ]


def test_what_is_there_keeps_its_owner_and_mode(daemon: Engine, context: Path) -> None:
    dockerfile = "FROM busybox\nRUN mkdir -m 1777 /to && chown 3:4 /to && ln -s /to /link\nCOPY f /link/\n"
    assert built(daemon, context, dockerfile, TREE).splitlines() == ["/to 1777 3:4", "/to/f 644 0:0"]


def test_stages_and_links(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox AS made
RUN mkdir /out && echo made >/out/file && chown 7:8 /out/file && ln /out/file /out/again
FROM busybox AS unused
RUN exit 1
FROM busybox
WORKDIR /to/work
COPY --link --from=made /out/ ./
COPY --link f .
"""
    out = built(daemon, context, dockerfile, "pwd; cat file again f; stat -c %u:%g:%h file")
    assert out == "/to/work\nmade\nmade\nhello\n7:8:2\n"


def test_archives_are_unpacked_by_what_they_are(daemon: Engine, context: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("in/side")
        member.size, member.uid, member.mode = 3, 5, 0o600
        archive.addfile(member, io.BytesIO(b"abc"))
    (context / "archive").write_bytes(data.getvalue())
    (context / "no.tar.gz").write_text("no archive\n")
    dockerfile = "FROM busybox\nADD archive no.tar.gz /to/\nADD --unpack=false archive /to/kept\n"
    out = built(daemon, context, dockerfile, TREE)
    assert out.splitlines() == [
        "/to 755 0:0",
        "/to/in 755 0:0",
        "/to/in/side 600 5:0",
        "/to/kept 644 0:0",
        "/to/no.tar.gz 644 0:0",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("COPY missing /to", '"/missing": not found'),
        ("COPY *.none /to/", '"/*.none": not found'),
        ("COPY f f /to", "the destination must be a directory and end with a /"),
        ("COPY --chown=nobody-here f /to", "unable to find user nobody-here"),
        ("COPY --chmod=9 f /to", "invalid chmod parameter"),
        ("COPY f /bin", None),
        ("COPY f /", None),
        ("COPY ../../../etc/passwd /to", '"/etc/passwd": not found'),
        ("RUN --security=insecure true", "security.insecure is not allowed"),
    ],
)
def test_what_cannot_be_copied(daemon: Engine, context: Path, line: str, words: str | None) -> None:
    if words is None:
        (context / "Dockerfile").write_text(f"FROM busybox\n{line}\n")
        assert daemon.cove("build", "-q", str(context)).out.startswith("sha256:")
        return
    assert words in refused(daemon, context, f"FROM busybox\n{line}\n").err


def test_scratch(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(
        'FROM busybox AS b\nFROM scratch\nCOPY --from=b /bin /bin\nCMD ["/bin/echo", "x"]\n'
    )
    daemon.cove("build", "-q", "-t", "made:scratch", str(context))
    assert daemon.docker("run", "--rm", "made:scratch").out == "x\n"


def test_mistakes_are_shown_where_they_are(daemon: Engine, context: Path) -> None:
    err = refused(daemon, context, "FROM busybox\nRUNN true\n").err
    assert "   2 | >>> RUNN true\n" in err
    assert "unknown instruction: RUNN (did you mean RUN?)" in err


@pytest.mark.parametrize("files", [1, 1500])
def test_a_dockerfile_that_is_ignored_builds_all_the_same(daemon: Engine, tmp_path: Path, files: int) -> None:
    (tmp_path / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY . /to\n")
    for number in range(files):
        (tmp_path / f"file{number}").touch()
    image = daemon.docker("build", "-q", str(tmp_path)).out.strip()
    found = daemon.docker("run", "--rm", image, "ls", "-A", "/to").out.split()
    assert sorted(found) == sorted(f"file{number}" for number in range(files))
