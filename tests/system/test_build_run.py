"""RUN: its forms, its mounts, its limits, and what of it never reaches the disk."""

import io
import json
import shutil
import socket
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.leaks import remove_cgroups
from harness.waiting import eventually


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "f").write_text("hello\n")
    (tmp_path / "context" / "d").mkdir()
    (tmp_path / "context" / "d" / "g").write_text("deep\n")
    return tmp_path / "context"


def out_of(engine: Engine, context: Path, dockerfile: str, *flags: str) -> str:
    """The output of a build's steps, without their times."""
    (context / "Dockerfile").write_text(dockerfile)
    done = engine.cove("build", "--progress", "plain", *flags, str(context))
    lines = [line.split(" ", 2) for line in done.err.splitlines() if line.startswith("#")]
    return "".join(f"{line[2]}\n" for line in lines if len(line) == 3 and line[1][0].isdigit())


def test_forms(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox
ARG WORD=given
ENV OTHER=set
USER nobody
RUN echo "$WORD $OTHER" && id -un
USER root
RUN ["echo", "$WORD"]
RUN <<EOF
echo one
echo two
EOF
RUN <<EOF
#!/bin/cat
not run
EOF
SHELL ["/bin/sh", "-xec"]
RUN echo shell
RUN cat <<a && cat <<b
first
a
second
b
"""
    lines = out_of(daemon, context, dockerfile).splitlines()
    for words in ("given set", "nobody", "$WORD", "one", "two", "not run", "+ echo shell", "first", "second"):
        assert words in lines


def test_binds(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox AS other
RUN mkdir /made && echo made >/made/file
FROM busybox
RUN --mount=target=/c cat /c/f /c/d/g && ! touch /c/f
RUN --mount=target=/one,source=f cat /one
RUN --mount=from=other,source=/made,target=/m,rw cat /m/file && echo more >/m/more && cat /m/more
RUN ls -d /c /one /m || echo nothing
"""
    assert out_of(daemon, context, dockerfile).splitlines()[-7:] == [
        "hello",
        "made",
        "more",
        "ls: /c: No such file or directory",
        "ls: /one: No such file or directory",
        "ls: /m: No such file or directory",
        "nothing",
    ]


def test_caches_and_tmpfs(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox
ARG ROUND
RUN --mount=type=cache,target=/cache,id=mine,mode=0700,uid=5 --mount=type=tmpfs,target=/t,size=1m \\
    stat -c %a:%u /cache; echo $ROUND >>/cache/rounds; cat /cache/rounds; df -k /t | tail -1
"""
    out_of(daemon, context, dockerfile, "--build-arg", "ROUND=1")
    lines = out_of(daemon, context, dockerfile, "--build-arg", "ROUND=2").splitlines()
    assert lines[:3] == ["700:5", "1", "2"]
    assert " 1024 " in lines[3]
    records = daemon.docker("system", "df", "-v").out
    assert "exec.cachemount" in records


def test_caches_are_shared_had_alone_or_waited_for(daemon: Engine, context: Path) -> None:
    """Two steps that run at once meet in a shared cache, have two private ones, and take turns at a locked one."""
    stage = """\
FROM busybox AS {me}
RUN --mount=type=cache,id=meet,target=/m --mount=type=cache,id=alone,sharing=private,target=/c \\
    touch /m/{me} /c/{me}; for i in $(seq 800); do [ -e /m/{other} ] && break; sleep 0.05; done; \\
    echo shared $(ls /m) private $(ls /c) >/{me}
RUN --mount=type=cache,id=turns,sharing=locked,target=/c mkdir /c/busy && sleep 0.2 && rmdir /c/busy
"""
    dockerfile = stage.format(me="one", other="two") + stage.format(me="two", other="one")
    dockerfile += "FROM busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\nRUN cat /one /two\n"
    lines = out_of(daemon, context, dockerfile).splitlines()
    assert lines == ["shared one two private one", "shared one two private two"]


def test_a_cache_begins_with_what_another_stage_has(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox AS seed
RUN mkdir -p /seed/deep && echo seeded >/seed/deep/file
FROM busybox
ARG ROUND
RUN --mount=type=cache,target=/c,from=seed,source=/seed cat /c/deep/file; echo $ROUND >/c/deep/file
"""
    assert out_of(daemon, context, dockerfile, "--build-arg", "ROUND=1") == "seeded\n"
    assert out_of(daemon, context, dockerfile, "--build-arg", "ROUND=2") == "1\n"


def test_caches_travel_in_an_archive(daemon: Engine, context: Path, tmp_path: Path) -> None:
    dockerfile = "FROM busybox\nARG N\nRUN --mount=type=cache,target=/c,uid=3 echo $N >>/c/n; cat /c/n; stat -c %u /c\n"
    daemon.cove("builder", "prune", "-a", "-f")
    assert out_of(daemon, context, dockerfile, "--build-arg", "N=1").splitlines() == ["1", "3"]
    daemon.cove("builder", "export-mounts", "-o", f"{tmp_path}/mounts")
    daemon.cove("builder", "prune", "-a", "-f")
    assert daemon.cove("builder", "import-mounts", "-i", f"{tmp_path}/mounts").out == "Imported cache mounts: 1\n"
    assert daemon.docker("system", "df", "-v").out.count("exec.cachemount") == 1
    assert out_of(daemon, context, dockerfile, "--build-arg", "N=2").splitlines() == ["1", "2", "3"]
    assert daemon.cove("builder", "import-mounts", "-i", f"{tmp_path}/mounts").out == "Imported cache mounts: 0\n"
    assert out_of(daemon, context, dockerfile, "--build-arg", "N=3").splitlines() == ["1", "2", "3", "3"]
    (tmp_path / "wrong").write_text("no archive")
    assert daemon.cove("builder", "import-mounts", "-i", f"{tmp_path}/wrong", check=False).code == 1


def test_secrets_are_nowhere(daemon: Engine, context: Path, tmp_path: Path) -> None:
    secret = "hunter" + "2-very-secret"
    (tmp_path / "secret").write_text(secret)
    dockerfile = """\
FROM busybox
RUN --mount=type=secret,id=s,mode=0440,uid=9 stat -c %a:%u /run/secrets/s; wc -c </run/secrets/s
RUN --mount=type=secret,id=s,env=TOKEN echo -n "$TOKEN" | wc -c
RUN --mount=type=secret,id=none ls /run/secrets || echo none
"""
    flags = ("--secret", f"id=s,src={tmp_path}/secret", "-t", "made:s")
    lines = out_of(daemon, context, dockerfile, *flags).splitlines()
    assert lines == ["440:9", "19", "19", "ls: /run/secrets: No such file or directory", "none"]
    assert daemon.docker("history", "--no-trunc", "made:s").out.count(secret) == 0
    daemon_root = Path(str(daemon.data_root))
    found = [path for path in daemon_root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert found == []
    (context / "Dockerfile").write_text("FROM busybox\nRUN --mount=type=secret,id=x,required cat /run/secrets/x\n")
    assert "secret x: not found" in daemon.cove("build", str(context), check=False).err


def test_an_agent_is_lent_until_the_client_goes(daemon: Engine, context: Path, tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        dockerfile = "FROM busybox\nRUN --mount=type=ssh,mode=0660 ls -l $SSH_AUTH_SOCK && sleep 600\n"
        (context / "Dockerfile").write_text(dockerfile)
        with daemon.spawned("cove", "build", "--progress", "plain", "--ssh", f"default={path}", str(context)) as client:
            assert client.stderr is not None
            eventually(lambda: b"srw-rw----" in client.stderr.readline())
            (shown,) = daemon.exec_root.glob("builds/*/agent-0")
            for word in (b"first", b"second"):
                with socket.socket(socket.AF_UNIX) as program:
                    program.connect(str(shown))
                    program.sendall(word)
                    agent, _ = listener.accept()
                    with agent:
                        assert agent.recv(100) == word
                        agent.sendall(b"answer")
                    assert program.recv(100) == b"answer"
    eventually(lambda: not list(daemon.exec_root.glob("builds/*/agent-0")))


@pytest.mark.needs("ssh-agent")
def test_keys_are_lent_as_an_agent_of_their_own(daemon: Engine, context: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the key", "-f", str(key)], check=True)
    key.chmod(0o644)
    (context / "Dockerfile").write_text("FROM busybox\nRUN --mount=type=ssh echo be''gun; sleep 600\n")
    flags = ("build", "--progress", "plain", "--ssh", f"default={key}", str(context))
    with daemon.spawned("cove", *flags) as client:
        assert client.stderr is not None
        eventually(lambda: b"begun" in client.stderr.readline())
        (shown,) = daemon.exec_root.glob("builds/*/agent-0")
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(str(shown))
            program.sendall(b"\0\0\0\1\x0b")  # which identities there are
            assert b"the key" in program.recv(1000)
    eventually(lambda: not list(daemon.exec_root.glob("builds/*/agent-0")))
    assert "is neither an agent's socket nor a private key" in (
        daemon.cove("build", "--ssh", f"x={context}/f", str(context), check=False).err
    )
    assert "No such file" in daemon.cove("build", "--ssh", "x=/nothing", str(context), check=False).err


def test_limits_and_network(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox
RUN ulimit -n; df -k /dev/shm | tail -1; grep here /etc/hosts
RUN --network=none ls /sys/class/net
"""
    flags = ("--ulimit", "nofile=77:77", "--shm-size", "2m", "--add-host", "here:1.2.3.4", "--memory", "64m")
    lines = out_of(daemon, context, dockerfile, *flags).splitlines()
    assert lines[0] == "77"
    assert " 2048 " in lines[1]
    assert lines[2].split() == ["1.2.3.4", "here"]
    assert lines[3:] == ["lo"]


def test_privileges_and_devices_have_to_be_allowed(daemon: Engine, context: Path) -> None:
    assert isinstance(daemon, Daemon)
    directory = daemon.cdi_directories[0]
    directory.mkdir(exist_ok=True)
    try:
        edits = {"env": ["WIDGET=one"], "deviceNodes": [{"path": "/dev/widget", "hostPath": "/dev/null"}]}
        spec = {"cdiVersion": "0.6.0", "kind": "acme.com/widget", "devices": [{"name": "a", "containerEdits": edits}]}
        (directory / "acme.json").write_text(json.dumps(spec))
        dockerfile = """\
FROM busybox
RUN grep CapEff /proc/self/status; echo none ${WIDGET-}
RUN --security=insecure grep CapEff /proc/self/status
RUN --device=acme.com/widget echo $WIDGET; echo x >/dev/widget
RUN --device=acme.com/widget=b echo optional
"""
        allowed = ("--allow", "security.insecure", "--allow", "device=acme.com/widget")
        lines = out_of(daemon, context, dockerfile, *allowed).splitlines()
        assert int(lines[0].split()[1], 16) < int(lines[2].split()[1], 16)
        assert [lines[1], *lines[3:]] == ["none", "one", "optional"]
        for line, words in (
            ("RUN --device=acme.com/widget=a,required true", "device acme.com/widget=a is not allowed"),
            ("RUN --device=acme.com/gadget=a,required true", "unresolvable CDI devices acme.com/gadget=a"),
        ):
            (context / "Dockerfile").write_text(f"FROM busybox\n{line}\n")
            allow = ("--allow", "device") if "gadget" in line else ()
            assert words in daemon.cove("build", *allow, str(context), check=False).err
    finally:
        shutil.rmtree(directory)


def test_processors_and_security(daemon: Engine, context: Path) -> None:
    dockerfile = """\
FROM busybox
RUN grep -E 'Cpus_allowed_list|NoNewPrivs|Seccomp:' /proc/self/status
RUN cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu/cpu.shares 2>/dev/null || cat cpu.max cpu.weight
"""
    flags = ("--cpuset-cpus", "0", "--cpu-quota", "50000", "--cpu-period", "100000", "--cpu-shares", "512")
    security = ("--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "--isolation", "default")
    text = out_of(daemon, context, dockerfile, *flags, *security)
    words = " ".join(text.split())
    assert words.startswith("NoNewPrivs: 1 Seccomp: 0 Cpus_allowed_list: 0 50000 ")
    (context / "Dockerfile").write_text("FROM busybox\n")
    for flag, value, said in (
        ("--isolation", "hyperv", "invalid isolation"),
        ("--security-opt", "wrong=1", "wrong=1"),
        ("--cpuset-cpus", "9999", "9999"),
        ("--memory", "1k", "Minimum memory limit"),
        ("--cpu-period", "1", "CPU cfs period can not be less than 1ms"),
    ):
        err = daemon.cove("build", "--no-cache", flag, value, str(context), check=False).err
        assert said in err, (flag, err)


def test_the_parent_of_its_control_groups(daemon: Engine, context: Path) -> None:
    parent = f"{daemon.name}/of-builds"
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo be''gun; sleep 600\n")
    flags = ("build", "--progress", "plain", "--cgroup-parent", f"/{parent}", str(context))
    with daemon.spawned("cove", *flags) as client:
        assert client.stderr is not None
        eventually(lambda: b"begun" in client.stderr.readline())
        groups = [*Path("/sys/fs/cgroup").glob(f"*/{parent}/*/"), *Path("/sys/fs/cgroup").glob(f"{parent}/*/")]
        assert any((group / "cgroup.procs").read_text() for group in groups)
    eventually(lambda: not list(daemon.exec_root.glob("containers/*")))
    remove_cgroups(f"/{parent}")


def test_cancelled_by_its_id(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo be''gun; sleep 600\n")
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        archive.add(context, ".")
    answers: list[str] = []
    headers = {"Content-Type": "application/x-tar"}

    def ask() -> None:
        answer = daemon.http("POST", "/build?buildid=cancel-me-1", body.getvalue(), headers=headers, timeout=100)
        answers.append(answer.body.decode())

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(
        lambda: list(daemon.exec_root.glob("containers/*/shim.sock")) or list(daemon.exec_root.glob("containers/*"))
    )
    assert daemon.http("POST", "/build/cancel?id=cancel-me-1").status == 204
    asking.join(60)
    assert "the build was cancelled" in answers[0]
    eventually(lambda: not list(daemon.exec_root.glob("containers/*")))
    assert daemon.http("POST", "/build/cancel?id=nobody").status == 204
