"""COPY, ADD and WORKDIR: which files an image gets, and from where."""

import contextlib
import hashlib
import io
import os
import subprocess
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
        "/to 640 77:88",
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
        ("COPY f f /to", "the destination must be a directory and end with a /"),
        ("COPY --chown=nobody-here f /to", "unable to find user nobody-here"),
        ("COPY --chmod=9 f /to", "invalid chmod parameter"),
        ("COPY dir /etc/passwd", "cannot copy to non-directory: /etc/passwd"),
        ("COPY dir /etc/passwd/", "cannot copy to non-directory: /etc/passwd"),
        ("COPY f /etc/passwd/x/", "/etc/passwd: not a directory"),
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


def test_a_pattern_that_matches_nothing(daemon: Engine, context: Path) -> None:
    """Is no mistake to BuildKit, and copies nothing; Docker's classic builder refuses it."""
    text = "FROM busybox\nCOPY *.none /to/\nCOPY f *.none /two/\nCOPY --parents dir/none/* /three/\n"
    assert built(daemon, context, text, "ls -d /to /t*; ls /two") == "/tmp\n/two\nf\n"
    done = daemon.docker("build", "-q", str(context), check=False)
    assert done.code == 1 and "*.none" in done.err


def test_two_stars_are_directories_for_parents_alone(daemon: Engine, context: Path) -> None:
    text = "FROM busybox\nCOPY **/*.txt /to/\nCOPY --parents **/*.txt /to/deep/\n"
    out = built(daemon, context, text, "find /to -type f | sort")
    assert out.split() == ["/to/a.txt", "/to/deep/dir/a.txt", "/to/deep/dir/sub/c.txt"]


@pytest.mark.parametrize(
    ("flags", "source", "files"),
    [
        ("--exclude=*.txt", "dir", "/to/b.md /to/sub/c.txt"),
        ("--exclude=sub/*.txt", "dir", "/to/a.txt /to/b.md"),
        ("--parents --exclude=*.txt", "dir", "/to/dir/a.txt /to/dir/b.md /to/dir/sub/c.txt"),
        ("--parents --exclude=dir/*.txt", "dir", "/to/dir/b.md /to/dir/sub/c.txt"),
        ("--parents --exclude=sub/*.txt", "dir/./sub", ""),
        ("--parents --exclude=dir/sub/*", "**/*.txt", "/to/dir/a.txt"),
        ("--exclude=f", "f", ""),
    ],
)
def test_what_exclusions_are_relative_to(daemon: Engine, context: Path, flags: str, source: str, files: str) -> None:
    """The directory that is copied; with ``--parents`` where the kept path begins."""
    out = built(daemon, context, f"FROM busybox\nCOPY {flags} {source} /to/\n", "find /to -type f | sort")
    assert out.split() == files.split()


def test_new_directories_have_the_mode_too(daemon: Engine, context: Path) -> None:
    text = "FROM busybox\nCOPY --chmod=1750 dir/sub /to/sub\nCOPY --chmod=600 --chown=7 f /to/new/f\n"
    text += "COPY --chmod=u+s f /to/other/f\nADD --chmod=600 archive /to/got/\n"
    with tarfile.open(context / "archive", "w") as archive:
        member = tarfile.TarInfo("in")
        member.mode = 0o640
        archive.addfile(member)
    assert built(daemon, context, text, TREE).splitlines() == [
        "/to 750 0:0",
        "/to/got 755 0:0",
        "/to/got/in 640 0:0",
        "/to/new 600 7:7",
        "/to/new/f 600 7:7",
        "/to/other 755 0:0",
        "/to/other/f 4644 0:0",
        "/to/sub 750 0:0",
        "/to/sub/c.txt 1750 0:0",
    ]


@pytest.mark.parametrize(("client", "owner"), [("cove", "1:1"), ("docker", "0:0")])
def test_whose_a_working_directory_is(daemon: Engine, context: Path, client: str, owner: str) -> None:
    """The USER's, as with BuildKit; the classic builder leaves it to root. What is there stays whose it is."""
    text = "FROM busybox\nUSER daemon\nWORKDIR /to/a\nWORKDIR /tmp\nWORKDIR b\nUSER root\nWORKDIR /to/a\n"
    (context / "Dockerfile").write_text(text)
    run = daemon.cove if client == "cove" else daemon.docker
    image = run("build", "-q", str(context)).out.strip()
    look = "stat -c '%n %u:%g' /to /to/a /tmp /tmp/b"
    out = daemon.docker("run", "--rm", image, "sh", "-c", look).out
    assert out.splitlines() == [f"/to {owner}", f"/to/a {owner}", "/tmp 0:0", f"/tmp/b {owner}"]


def test_a_name_that_comes_twice_is_in_the_layer_once(daemon: Engine, context: Path, tmp_path: Path) -> None:
    (context / "other").mkdir()
    (context / "other/f").write_text("the last\n")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY f other/* dir /to/\n")
    daemon.cove("build", "-q", "-o", f"type=docker,dest={tmp_path}/image.tar", str(context))
    with tarfile.open(tmp_path / "image.tar") as image:
        layers = [io.BytesIO(file.read()) for member in image if (file := image.extractfile(member))]
    names = []
    for layer in layers:
        with contextlib.suppress(tarfile.ReadError), tarfile.open(fileobj=layer) as members:
            names += [(member.name, member.size) for member in members]
    assert [(name, size) for name, size in names if name == "to/f"] == [("to/f", len("the last\n"))]


@pytest.mark.parametrize("form", ["--format=gnu", "--format=posix", "--sparse-version=0.0", "--sparse-version=0.1"])
def test_archives_with_holes(daemon: Engine, context: Path, form: str) -> None:
    """GNU's own form, and those of pax."""
    with (context / "holes").open("wb") as file:
        file.write(b"begin")
        file.seek(8 << 20)
        file.write(b"end")
        file.truncate(16 << 20)
    flags = [form] if "format" in form else ["--format=posix", form]
    subprocess.run(["tar", "-C", context, "-S", *flags, "-cf", context / "sparse.tar", "holes", "f"], check=True)
    digest = hashlib.sha256((context / "holes").read_bytes()).hexdigest()
    (context / "holes").unlink()
    for text in ("ADD sparse.tar /to/", "ADD --chown=5 sparse.tar /to/"):
        look = "sha256sum /to/holes; stat -c %s:%u /to/holes; cat /to/f; du -k /to/holes"
        out = built(daemon, context, f"FROM busybox\n{text}\n", look).split()
        owner = "5" if "chown" in text else str(os.getuid())
        assert out[:1] + out[2:4] == [digest, f"{16 << 20}:{owner}", "hello"] and int(out[4]) < 1024
