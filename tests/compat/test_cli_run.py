"""Running things: streams, exit codes, terminals, signals; the same behaviour from both command lines."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("docker", "cove")

RUNS: list[tuple[tuple[str, ...], bytes]] = [
    (("--rm", "busybox", "echo", "hi"), b""),
    (("--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"), b""),
    (("--rm", "-i", "busybox", "cat"), b"one\ntwo\n"),
    (("--rm", "-i", "busybox", "cat"), b"x" * 300_000),
    (("--rm", "-i", "busybox", "sh", "-c", "head -c 5"), b"x" * 300_000),
    (("--rm", "-i", "busybox", "wc", "-c"), b"x" * 1_000_000),
    (("--rm", "busybox", "cat"), b"ignored"),
    (("--rm", "busybox", "sh", "-c", "kill -9 $$"), b""),
    (("--rm", "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2"), b""),
    (("--rm", "-t", "busybox", "sh", "-c", "echo hi; tty; exit 4"), b""),
    (("--rm", "-e", "A=1", "-e", "B", "busybox", "sh", "-c", "echo $A$B"), b""),
    (("--rm", "-w", "/tmp", "-u", "nobody", "busybox", "sh", "-c", "pwd; id -u"), b""),
    (("--rm", "--entrypoint", "echo", "busybox", "from", "entrypoint"), b""),
    (("--rm", "-h", "box", "busybox", "hostname"), b""),
    (("--rm", "--net", "none", "busybox", "ls", "/sys/class/net"), b""),
]


@pytest.mark.parametrize(
    "words,stdin", RUNS, ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else ""
)
def test_run_is_the_same(words: tuple[str, ...], stdin: bytes, same: Callable[..., Any]) -> None:
    same("run", *words, stdin=stdin)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_container_and_its_life(program: str, runner: Any, name: str) -> None:
    def step(*words: str) -> Any:
        found = runner.run(program, *words)
        assert found.code == 0, found.err
        return found.out

    identity = step("run", "-d", "--name", name, "busybox", "sh", "-c", "echo started; exec sleep 300").strip()
    assert re.fullmatch("[0-9a-f]{64}", identity)
    assert step("exec", name, "echo", "inside") == "inside\n"
    assert runner.run(program, "exec", name, "sh", "-c", "exit 5").code == 5
    assert runner.run(program, "exec", "-i", name, "cat", stdin=b"in").out == "in"
    assert step("exec", "-d", name, "touch", "/tmp/detached") == ""
    assert step("logs", name) == "started\n"
    assert step("pause", name) == step("unpause", name) == f"{name}\n"
    step("update", "--cpu-shares", "512", name)
    step("rename", name, f"{name}-2")
    step("rename", f"{name}-2", name)
    assert step("kill", "-s", "KILL", name) == f"{name}\n"
    assert step("wait", name) == "137\n"
    assert step("start", name) == f"{name}\n"
    assert step("restart", "-t", "0", name) == f"{name}\n"
    assert step("stop", "-t", "0", name) == f"{name}\n"
    assert step("rm", "-v", name) == f"{name}\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_create_and_start_attached(program: str, runner: Any, name: str, tmp_path: Path) -> None:
    cid = tmp_path / "cid"
    created = runner.run(
        program, "create", "-i", "--name", name, "--cidfile", str(cid), "busybox", "sh", "-c", "cat; exit 6"
    )
    assert created.out.strip() == cid.read_text()
    started = runner.run(program, "start", "-ai", name, stdin=b"typed")
    assert (started.code, started.out) == (6, "typed")
    runner.docker("rm", name)
    again = runner.run(program, "create", "--cidfile", str(cid), "busybox")
    assert again.code == 1
    assert "container ID file found" in again.err


@pytest.mark.parametrize("program", PROGRAMS)
def test_signals_reach_the_container(program: str, runner: Any, name: str) -> None:
    script = 'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    process = runner.start(program, "run", "--rm", "--name", name, "busybox", "sh", "-c", script)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (9, b"got it\n", b"")


@pytest.mark.parametrize("program", PROGRAMS)
def test_following_logs_ends_with_the_container(program: str, runner: Any, name: str) -> None:
    runner.docker("run", "-d", "--name", name, "busybox", "sh", "-c", "echo a; sleep 1; echo b")
    found = runner.run(program, "logs", "-f", "--tail", "all", name)
    assert (found.code, found.out) == (0, "a\nb\n")
    stamped = runner.run(program, "logs", "-t", "-n", "1", name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z b\n", stamped.out)
    runner.docker("rm", "-f", name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_interrupted_streams_exit_130(program: str, runner: Any, name: str) -> None:
    runner.docker("run", "-d", "--name", name, "busybox", "sh", "-c", "echo here; sleep 300")
    process = runner.start(program, "logs", "-f", name)
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    runner.docker("rm", "-f", name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_terminal(program: str, runner: Any, name: str) -> None:
    shell = runner.terminal(program, "run", "--rm", "-it", "--name", name, "busybox", "sh")
    shell.expect(b"# ")
    shell.type(b"stty size; echo done-$((1+1))\r")
    shell.expect(b"done-2")
    shell.type(b"exit 7\r")
    assert shell.end() == 7


@pytest.mark.parametrize("program", PROGRAMS)
def test_detaching_leaves_it_running(program: str, runner: Any, name: str) -> None:
    shell = runner.terminal(program, "run", "-it", "--name", name, "busybox", "sh")
    shell.expect(b"# ")
    shell.type(b"\x10\x11")
    assert shell.end() == 0
    assert runner.docker("inspect", "-f", "{{.State.Running}}", name).out == "true\n"
    attached = runner.terminal(program, "attach", name)
    attached.expect(b"# ")
    attached.type(b"exit 8\r")
    assert attached.end() == 8
    runner.docker("rm", "-f", name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_exec_on_a_terminal(program: str, runner: Any, name: str) -> None:
    runner.docker("run", "-d", "--name", name, "busybox", "sleep", "300")
    shell = runner.terminal(program, "exec", "-it", name, "sh")
    shell.expect(b"# ")
    shell.type(b"tty; exit 3\r")
    shell.expect(b"/dev/pts/")
    assert shell.end() == 3
    runner.docker("rm", "-f", name)


def test_files_go_both_ways(runner: Any, name: str, tmp_path: Path) -> None:
    runner.docker("run", "-d", "--name", name, "busybox", "sleep", "300")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_text("content")
    (tree / "link").symlink_to("sub/file")
    for program in PROGRAMS:
        assert runner.run(program, "cp", "-q", str(tree), f"{name}:/tmp/{program}").code == 0
        assert runner.run(program, "cp", "-q", f"{tree}/.", f"{name}:/tmp/{program}").code == 0
        assert runner.run(program, "cp", "-q", f"{tree}/sub/file", f"{name}:/tmp/{program}/renamed").code == 0
        back = tmp_path / f"back-{program}"
        assert runner.run(program, "cp", f"{name}:/tmp/{program}", str(back)).code == 0
        assert runner.run(program, "cp", f"{name}:/tmp/{program}/renamed", str(tmp_path / f"one-{program}")).code == 0
    listing = {
        program: sorted(
            str(p.relative_to(tmp_path / f"back-{program}")) for p in (tmp_path / f"back-{program}").rglob("*")
        )
        for program in PROGRAMS
    }
    assert listing["cove"] == listing["docker"] == ["link", "renamed", "sub", "sub/file"]
    assert (tmp_path / "one-cove").read_text() == "content"
    stream = runner.cove("cp", f"{name}:/tmp/cove/renamed", "-")
    assert "renamed" in stream.out and "content" in stream.out
    runner.docker("rm", "-f", name)


def test_archives_round_trip(runner: Any, name: str, tmp_path: Path) -> None:
    tag = f"{name.lower()}:1"
    root, saved = tmp_path / "root.tar", tmp_path / "saved.tar"
    runner.docker("create", "--name", name, "busybox", "true")
    assert runner.cove("export", "-o", str(root), name).code == 0
    imported = runner.cove("import", "-c", 'CMD ["sh"]', "-m", "by test", str(root), tag)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", imported.out), imported.err
    assert runner.cove("save", "-o", str(saved), tag).code == 0
    assert runner.cove("rmi", tag).out.startswith(f"Untagged: {tag}\n")
    loaded = runner.cove("load", "-i", str(saved))
    assert loaded.out == f"Loaded image: {tag}\n", loaded.err
    assert runner.cove("run", "--rm", tag, "echo", "alive").out == "alive\n"
    committed = runner.cove("commit", "-m", "x", name, f"{name.lower()}:2")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", committed.out), committed.err
    assert runner.cove("tag", tag, f"{name.lower()}:3").code == 0
    for number in (1, 2, 3):
        assert runner.cove("rmi", f"{name.lower()}:{number}").code == 0
    runner.docker("rm", name)


def test_networks_and_volumes(runner: Any, same: Callable[..., Any], name: str) -> None:
    made = runner.cove(
        "network", "create", "--label", "a=b", "--subnet", "10.213.7.0/24", "--gateway", "10.213.7.1", name
    )
    assert re.fullmatch("[0-9a-f]{64}\n", made.out), made.err
    same("network", "inspect", name)
    runner.docker("create", "--name", name, "busybox", "true")
    assert runner.cove("network", "connect", "--alias", "x", name, name).code == 0
    same("network", "inspect", "-f", "{{json .Containers}}", name)
    assert runner.cove("network", "disconnect", name, name).code == 0
    assert runner.cove("volume", "create", "--label", "x=y", name).out == f"{name}\n"
    same("volume", "inspect", name)
    assert (
        runner.cove("rm", name).code
        == runner.cove("volume", "rm", name).code
        == runner.cove("network", "rm", name).code
        == 0
    )
    same("container", "prune", "-f", "--filter", "label=covecompat-none")
    same("image", "prune", "-f", "--filter", "label=covecompat-none")
    same("volume", "prune", "-f", "--filter", "label=covecompat-none")
    same("network", "prune", "-f", "--filter", "label=covecompat-none")
    same("system", "prune", stdin=b"n\n")
    same("volume", "prune", stdin=b"n\n")
    same("image", "prune", "-a", stdin=b"\n")


def test_volume_with_options(runner: Any, same: Callable[..., Any], name: str) -> None:
    made = runner.cove("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "--label", "x=y", name)
    assert made.out == f"{name}\n", made.err
    same("volume", "inspect", name)
    runner.cove("volume", "rm", name)
