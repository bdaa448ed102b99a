"""User namespaces: containers whose ids are others on the host, over layers that nobody copied or gave away."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.fixtures import _name, _started
from harness.remapped import Remapped

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static", "cove")

FIRST, COUNT = 100_000, 65_536


def sh(daemon: Daemon, script: str, *flags: str) -> str:
    """What a script says in a container with these flags."""
    return daemon.docker("run", "--rm", *flags, "busybox", "sh", "-c", script).out


def test_root_of_a_container_is_nobody_on_the_host(remapped: Remapped) -> None:
    remapped.docker("run", "-d", "--name", "one", "busybox", "sh", "-c", "id -u; cat /proc/self/uid_map; sleep 1000")
    pid = remapped.docker("inspect", "-f", "{{.State.Pid}}", "one").out.strip()
    assert os.stat(f"/proc/{pid}").st_uid == FIRST
    status = Path(f"/proc/{pid}/status").read_text()
    assert f"Uid:\t{FIRST}\t{FIRST}\t{FIRST}\t{FIRST}\n" in status
    words = remapped.docker("exec", "one", "sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/gid_map").out.split()
    assert words == ["0", *["0", str(FIRST), str(COUNT)] * 2]
    assert os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino


def owners(directory: Path) -> dict[str, tuple[int, int]]:
    """Who has what below a directory of the host."""
    found = {}
    for path in (directory, *directory.rglob("*")):
        state = path.lstat()
        found[str(path.relative_to(directory))] = (state.st_uid, state.st_gid)
    return found


def upper(daemon: Daemon, name: str) -> Path:
    return Path(daemon.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name).out.strip())


def test_layers_are_shared_and_nobody_gives_their_files_away(remapped: Remapped) -> None:
    before = owners(remapped.data_root / "layers")
    assert sh(remapped, "stat -c %u:%g /bin/sh /etc/passwd /") == "0:0\n" * 3
    assert sh(remapped, "stat -c %u:%g /bin/sh", "--userns", "host") == "0:0\n"
    assert owners(remapped.data_root / "layers") == before


@pytest.mark.parametrize("driver", ["erofs", "overlay2"])
def test_either_kind_of_layers(driver: str) -> None:
    daemon = Remapped(_name("u"), "--userns-remap=games", f"--storage-driver={driver}")
    for file in ("subuid", "subgid"):
        (daemon.etc / file).write_text("games:200000:1000\n5:300000:70000\n")
    try:
        _started(daemon)
        before = owners(daemon.data_root / "layers")
        script = "cat /proc/self/uid_map; chown 3000:4 /bin/busybox; stat -c %u:%g /bin/busybox /etc/passwd"
        words = sh(daemon, script).split()
        assert words == ["0", "200000", "1000", "1000", "300000", "70000", "3000:4", "0:0"]
        assert owners(daemon.data_root / "layers") == before
    finally:
        daemon.close()


def test_files_on_the_disk_have_the_ids_that_the_container_sees(remapped: Remapped) -> None:
    script = "touch /mine; touch /his; chown 1000:50 /his; mkdir /d; rm /etc/passwd; chown 7 /bin"
    remapped.docker("run", "--name", "one", "busybox", "sh", "-c", script)
    found = owners(upper(remapped, "one"))
    assert found["mine"] == (0, 0)
    assert found["his"] == (1000, 50)
    assert found["bin"] == (7, 0)
    changes = set(remapped.docker("diff", "one").out.splitlines())
    assert {"A /mine", "A /his", "A /d", "D /etc/passwd", "C /bin"} <= changes
    remapped.docker("commit", "one", "made")
    try:
        both = "stat -c %u:%g /mine /his /bin; ls /etc/passwd 2>&1"
        for flags in ((), ("--userns", "host")):
            output = remapped.docker("run", "--rm", *flags, "made", "sh", "-c", both, check=False).out
            assert output.splitlines()[:3] == ["0:0", "1000:50", "7:0"]
            assert "No such file" in output
    finally:
        remapped.docker("rmi", "-f", "made")


def test_files_copied_in_and_out_while_it_runs_and_after(remapped: Remapped, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("text")
    os.chown(tmp_path / "in", 1234, 77)
    remapped.docker("run", "-d", "--name", "one", "busybox", "sh", "-c", "touch /f; chown 99:98 /f; sleep 1000")
    remapped.docker("exec", "one", "sh", "-c", "until [ -e /f ]; do :; done")
    remapped.docker("cp", "-a", f"{tmp_path}/in", "one:/kept")
    assert remapped.docker("exec", "one", "stat", "-c", "%u:%g", "/kept").out == "1234:77\n"
    for state in ("running", "exited"):
        archive = b"".join(remapped.sdk.api.get_archive("one", "/kept")[0])
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            assert [(member.uid, member.gid) for member in tar] == [(1234, 77)], state
        listing = export(remapped, "one", tmp_path)
        assert listing["kept"] == (1234, 77), state
        assert listing["bin/busybox"] == (0, 0), state
        assert listing["f"] == (99, 98), state
        remapped.docker("kill", "one", check=False)
        remapped.docker("wait", "one")
    remapped.docker("cp", "-a", f"{tmp_path}/in", "one:/late")
    remapped.docker("start", "one")
    assert remapped.docker("exec", "one", "stat", "-c", "%u:%g", "/late").out == "1234:77\n"


def export(daemon: Daemon, name: str, tmp_path: Path) -> dict[str, tuple[int, int]]:
    """Who has what in an export."""
    daemon.docker("export", "-o", str(tmp_path / "export.tar"), name)
    with tarfile.open(tmp_path / "export.tar") as tar:
        return {member.name: (member.uid, member.gid) for member in tar}


def test_volumes_serve_containers_of_either_kind_and_binds_are_as_they_are(remapped: Remapped, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "roots").write_text("")
    (tmp_path / "his").write_text("")
    os.chown(tmp_path / "his", FIRST + 1000, FIRST + 1000)
    flags = ("-v", "data:/data", "-v", f"{tmp_path}:/host")
    assert sh(remapped, "touch /data/f && chown 1000:1000 /data/f && stat -c %u /data /data/f", *flags) == "0\n1000\n"
    assert sh(remapped, "stat -c %u /data /data/f", *flags, "--userns", "host") == "0\n1000\n"
    assert sh(remapped, "stat -c %u /host/roots /host/his; touch /host/no 2>&1 || true", *flags).splitlines() == [
        "65534",
        "1000",
        "touch: /host/no: Permission denied",
    ]
    sh(remapped, "touch /made/f", "-v", f"{tmp_path}/made:/made")
    assert (tmp_path / "made" / "f").stat().st_uid == FIRST


def test_the_files_and_file_systems_that_every_container_has(remapped: Remapped) -> None:
    script = """
        stat -c '%u:%g %n' /etc/hosts /etc/hostname /etc/resolv.conf /dev /dev/pts /dev/shm /dev/mqueue /proc/1
        echo '1.2.3.4 mine' >> /etc/hosts && tail -n 1 /etc/hosts
        touch /dev/shm/f /dev/mqueue/q && ls /sys/class/net
        for device in null zero full random urandom; do test -c /dev/$device || echo $device; done
        head -c 3 /dev/zero | wc -c; echo x > /dev/null; cat /sys/fs/cgroup/*/cgroup.procs | head -n 1
        ls /proc/kcore /sys/firmware; head -c 1 /proc/kcore | wc -c; echo x > /proc/sys/kernel/hostname || true
        echo one > /dev/stdout; echo two > /dev/stderr; cat /proc/self/setgroups
    """
    done = remapped.docker("run", "--rm", "busybox", "sh", "-c", script)
    lines = done.out.splitlines()
    assert [line for line in lines[:8] if not line.startswith("0:0 ")] == []
    assert lines[8] == "1.2.3.4\tmine" or lines[8] == "1.2.3.4 mine"
    assert "lo" in lines
    assert "eth0" in lines
    assert lines[-2:] == ["one", "allow"]
    assert "two" in done.err


def test_a_terminal(remapped: Remapped) -> None:
    script = "stat -c %u:%g /dev/console $(tty); echo hi > $(tty)"
    assert sh(remapped, script, "-t").splitlines() == ["0:5", "0:5", "hi"]
    remapped.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    words = remapped.docker("exec", "-t", "one", "sh", "-c", "stat -c %u $(tty); id -u").out.split()
    assert words == ["0", "0"]


def test_other_users_and_their_streams(remapped: Remapped) -> None:
    script = "id -u; id -g; touch /f 2>/dev/null || echo no; echo x > /dev/stdout"
    assert sh(remapped, script, "--user", "1000:1001").split() == ["1000", "1001", "no", "x"]
    remapped.docker("run", "-d", "--name", "one", "--user", "33", "busybox", "sleep", "1000")
    pid = remapped.docker("inspect", "-f", "{{.State.Pid}}", "one").out.strip()
    assert os.stat(f"/proc/{pid}").st_uid == FIRST + 33
    assert remapped.docker("exec", "one", "sh", "-c", "id -u; echo y > /dev/stdout").out == "33\ny\n"
    assert remapped.docker("exec", "--user", "0", "one", "id", "-u").out == "0\n"
    done = remapped.docker("run", "--rm", "--user", "70000", "busybox", "true", check=False)
    assert done.code not in (0, None)


def test_limits(remapped: Remapped) -> None:
    assert sh(remapped, "ulimit -Hn; ulimit -n", "--ulimit", "nofile=2000:9000").split() == ["9000", "2000"]
    remapped.docker("run", "-d", "--name", "one", "--oom-score-adj", "500", "busybox", "sleep", "1000")
    assert remapped.docker("exec", "one", "cat", "/proc/1/oom_score_adj").out == "500\n"


def test_what_root_of_a_container_may_not_do(remapped: Remapped, tmp_path: Path) -> None:
    script = """
        mknod /mem c 1 1 2>/dev/null && cat /mem > /dev/null 2>&1 && echo mem
        mount -t tmpfs t /mnt 2>/dev/null && echo mounted
        cat /host/secret 2>/dev/null && echo read
        chown 0 /host/theirs 2>/dev/null && echo chowned
        echo 1 > /proc/sys/kernel/sysrq 2>/dev/null && echo sysctl
        echo x > /proc/sysrq-trigger 2>/dev/null && echo sysrq
        kill -0 1 && echo end
    """
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "theirs").write_text("")
    flags = ("--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "-v", f"{tmp_path}:/host")
    output = sh(remapped, script, *flags)
    assert output.replace("mounted\n", "") == "end\n"  # a mount of its own namespace is its own affair


def test_ports_probes_stats_and_pause(remapped: Remapped) -> None:
    script = "while :; do echo hello | nc -l -p 80; done"
    remapped.docker(
        *("run", "-d", "--name", "one", "-p", "18099:80", "--health-cmd", "test $(id -u) = 0"),
        *("--health-interval", "100ms", "busybox", "sh", "-c", script),
    )
    assert remapped.docker("exec", "one", "sh", "-c", "nc 127.0.0.1 80 < /dev/null").out == "hello\n"
    remapped.docker("pause", "one")
    remapped.docker("unpause", "one")
    line = remapped.docker("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "one").out
    assert int(line.split()[0]) >= 1
    while remapped.docker("inspect", "-f", "{{.State.Health.Status}}", "one").out.strip() == "starting":
        pass
    assert remapped.docker("inspect", "-f", "{{.State.Health.Status}}", "one").out.strip() == "healthy"
    assert "sh -c" in remapped.docker("top", "one").out


def test_opting_out(remapped: Remapped) -> None:
    assert sh(remapped, "cat /proc/self/uid_map", "--userns", "host").split() == ["0", "0", str(2**32 - 1)]
    flags = ("--userns", "host", "--privileged", "--network", "host", "--pid", "host")
    assert sh(remapped, "cat /proc/self/uid_map", *flags).split() == ["0", "0", str(2**32 - 1)]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ("--privileged",),
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace "
            "when running privileged mode",
        ),
        (("--network", "host"), "cannot share the host's network namespace when user namespaces are enabled"),
        (("--pid", "host"), "cannot share the host PID namespace when user namespaces are enabled"),
        pytest.param(
            ("--runtime", "crun"),
            "the runtime crun is not supported with user namespaces: use --userns host",
            marks=pytest.mark.needs("crun"),
        ),
    ],
)
def test_what_is_refused(remapped: Remapped, flags: tuple[str, ...], words: str) -> None:
    done = remapped.docker("create", *flags, "busybox", check=False)
    assert done.code == 1
    assert words in done.err
    assert remapped.docker("ps", "-aq").out == ""


def test_shared_namespaces_come_with_the_user_namespace_that_owns_them(remapped: Remapped) -> None:
    remapped.docker("run", "-d", "--name", "one", "--ipc", "shareable", "busybox", "sleep", "1000")
    for flag in ("--network", "--ipc", "--pid"):
        script = (
            "readlink /proc/self/ns/user; ls /sys/class/net >/dev/null && touch /dev/shm/f && ls /proc/1 >/dev/null"
        )
        own = sh(remapped, script, flag, "container:one")
        assert own == remapped.docker("exec", "one", "readlink", "/proc/self/ns/user").out, flag
    remapped.docker("run", "-d", "--name", "two", "--userns", "host", "busybox", "sleep", "1000")
    done = remapped.docker("run", "--rm", "--network", "container:two", "busybox", "true", check=False)
    assert "it has other user ids" in done.err
    assert sh(remapped, "ls /sys/class/net", "--userns", "host", "--network", "container:one")
    assert sh(remapped, "touch /dev/shm/f; ls /dev/shm/f; rm /dev/shm/f; echo", "--ipc", "host")


def test_a_device_of_the_host(remapped: Remapped) -> None:
    output = sh(remapped, "stat -c %t:%T /dev/mine; head -c 2 /dev/mine | wc -c", "--device", "/dev/zero:/dev/mine")
    assert output.split() == ["1:5", "2"]


def test_containers_survive_a_restart_a_crash_and_another_mapping(remapped: Remapped) -> None:
    remapped.docker("run", "-d", "--name", "one", "busybox", "sh", "-c", "touch /f; sleep 1000")
    remapped.kill9()
    remapped.start()
    assert remapped.docker("exec", "one", "stat", "-c", "%u", "/f").out == "0\n"
    flags = remapped.flags
    remapped.stop()
    remapped.flags = ("--debug",)
    remapped.start()
    try:
        assert remapped.docker("exec", "one", "sh", "-c", "id -u; cat /proc/self/uid_map").out.split()[2] == str(FIRST)
        remapped.docker("restart", "-t", "0", "one")
        output = remapped.docker("exec", "one", "sh", "-c", "cat /proc/self/uid_map; stat -c %u /f").out
        assert output.split() == ["0", "0", str(2**32 - 1), "0"]
        remapped.docker("create", "--name", "two", "--privileged", "busybox", "true")
    finally:
        remapped.stop()
        remapped.flags = flags
        remapped.start()
    done = remapped.docker("start", "two", check=False)
    assert "privileged mode is incompatible with user namespaces" in done.err
    remapped.docker("restart", "-t", "0", "one")
    assert remapped.docker("exec", "one", "sh", "-c", "cat /proc/self/uid_map; stat -c %u /f").out.split()[1:4:2] == [
        str(FIRST),
        "0",
    ]


def test_info_and_inspect_tell(remapped: Remapped) -> None:
    options = json.loads(remapped.docker("info", "-f", "{{json .SecurityOptions}}").out)
    assert options == ["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"]
    remapped.docker("create", "--name", "one", "--userns", "host", "busybox")
    assert remapped.docker("inspect", "-f", "{{.HostConfig.UsernsMode}}", "one").out == "host\n"


def test_the_account_of_default_is_made(remapped: Remapped) -> None:
    assert (remapped.etc / "subuid").read_text() == f"dockremap:{FIRST}:{COUNT}\n"
    assert (remapped.etc / "subgid").read_text() == f"dockremap:{FIRST}:{COUNT}\n"
    assert "dockremap:" in (remapped.etc / "passwd").read_text()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("games", 'Can\'t create ID mappings: no subuid ranges found for user "games"'),
        ("nobody-here", 'Error during uid lookup for "nobody-here"'),
        ("64321", "Uid 64321 has no entry in /etc/passwd"),
        ("a:b:c", 'Invalid user/group specification in --userns-remap: "a:b:c"'),
    ],
)
def test_a_daemon_does_not_start_without_ids(setting: str, words: str) -> None:
    daemon = Remapped(_name("u"), f"--userns-remap={setting}")
    try:
        daemon.spawn()
        assert daemon.process is not None
        assert daemon.process.wait(20) == 1
        assert words in daemon.log.read_text()
    finally:
        daemon.flags = ()
        daemon.close()


@pytest.mark.parametrize(
    "flags",
    [
        ("--init", "--read-only", "--tmpfs", "/t", "-w", "/", "--security-opt", "no-new-privileges"),
        ("--sysctl", "net.ipv4.ip_forward=1", "--cgroupns", "host", "--uts", "host", "--group-add", "12"),
        ("--ipc", "none", "--memory", "64m", "--pids-limit", "50"),
    ],
    ids=lambda flags: flags[0],
)
def test_other_settings_are_as_ever(remapped: Remapped, flags: tuple[str, ...]) -> None:
    assert sh(remapped, "id -u; cat /proc/self/uid_map", *flags).split() == ["0", "0", str(FIRST), str(COUNT)]


def test_a_device_of_a_vendor(remapped: Remapped, tmp_path: Path) -> None:
    directory = remapped.cdi_directories[0]
    directory.mkdir()
    (tmp_path / "driver.so").write_text("driver\n")
    tmp_path.chmod(0o755)
    mount = {"hostPath": str(tmp_path), "containerPath": "/opt/acme", "options": ["ro", "bind"]}
    edits = {"deviceNodes": [{"path": "/dev/widget", "hostPath": "/dev/zero"}], "mounts": [mount]}
    devices = [{"name": "one", "containerEdits": edits}]
    spec = {"cdiVersion": "0.6.0", "kind": "acme.com/widget", "devices": devices}
    (directory / "acme.json").write_text(json.dumps(spec))
    script = "head -c 2 /dev/widget | wc -c; cat /opt/acme/driver.so; stat -c %u /opt/acme/driver.so"
    try:
        assert sh(remapped, script, "--device", "acme.com/widget=one") == "2\ndriver\n0\n"
    finally:
        shutil.rmtree(directory)
