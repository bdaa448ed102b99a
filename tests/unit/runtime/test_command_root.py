"""``cove-oci`` as an engine calls it: true containers from bundles, and each part of the configuration."""

import array
import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from cove.kernel import cgroups
from harness import containers, oci
from harness.oci import Bundle
from harness.terminal import on_terminal
from harness.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.needs("overlay", "mqueue")]

SCHEMA = Path(__file__).parents[2] / "data" / "oci-runtime"
PARENT = f"/cove-test-oci-{os.getpid()}"
Make = Callable[..., Bundle]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield containers.busybox_root(tmp_path_factory.mktemp("root") / "rootfs")
    oci.remove_cgroups(PARENT)


@pytest.fixture
def make(tmp_path: Path, root: Path) -> Iterator[Make]:
    made: list[Bundle] = []

    def new(name: str = "box") -> Bundle:
        made.append(Bundle(tmp_path / name, root, PARENT))
        return made[-1]

    yield new
    for bundle in made:
        bundle.remove()
        for hierarchy in cgroups.layout().hierarchies:
            assert not Path(f"{hierarchy.mount_point}{PARENT}/{bundle.id}").exists()
        assert not (bundle.state / bundle.id).exists()


@pytest.fixture
def box(make: Make) -> Bundle:
    return make()


# the life of a container


def test_a_run_gives_output_and_exit_code_and_leaves_nothing(box: Bundle) -> None:
    done = box.run("echo out; echo err >&2; exit 7", check=False)
    assert done == (7, "out\n", "err\n")
    assert list(box.state.iterdir()) == []


def test_a_program_that_is_killed_ends_with_128_and_the_signal(box: Bundle) -> None:
    assert box.run("kill -9 $$; sh -c 'kill -9 $$'; exit $?", check=False).code == 137


def test_created_started_killed_deleted(box: Bundle, tmp_path: Path) -> None:
    box.process["args"] = ["sleep", "100"]
    box.write()
    subprocess.run(
        [str(oci.PROGRAM), "--root", str(box.state), "create", "--pid-file", str(tmp_path / "pid"), box.id],
        check=True,
        cwd=box.directory,
        stdout=subprocess.DEVNULL,
    )
    state = json.loads(box.call("state", box.id).out)
    pid = int((tmp_path / "pid").read_text())
    assert (state["status"], state["pid"], state["bundle"]) == ("created", pid, str(box.directory))
    assert Path(f"/proc/{pid}/comm").read_text() != "sleep\n"
    box.call("start", box.id)
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    assert box.status() == "running"
    assert "already running" in box.call("start", box.id, check=False).err
    assert "not stopped: running" in box.call("delete", box.id, check=False).err
    box.call("kill", box.id, "KILL")
    eventually(lambda: box.status() == "stopped")
    assert "container not running" in box.call("kill", box.id, check=False).err
    box.call("delete", box.id)
    assert "container does not exist" in box.call("state", box.id, check=False).err


def test_a_created_container_can_be_deleted(box: Bundle) -> None:
    box.process["args"] = ["true"]
    box.write()
    subprocess.run([str(oci.PROGRAM), "--root", str(box.state), "create", box.id], check=True, cwd=box.directory)
    box.call("delete", box.id)


def test_deleting_by_force_what_is_not_there_is_no_error(box: Bundle) -> None:
    assert box.call("delete", "--force", "nonesuch").err == ""
    assert "container does not exist" in box.call("delete", "nonesuch", check=False).err


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "a b"])
def test_a_bad_id_is_refused(box: Bundle, name: str) -> None:
    box.write()
    assert "invalid container ID format" in box.call("run", name, check=False).err


def test_an_id_is_given_once(box: Bundle) -> None:
    box.begin("sleep 100")
    box.write()
    assert "already exists" in box.call("create", box.id, check=False).err
    assert box.status() == "running"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nonesuch"], 'exec: "nonesuch": executable file not found in $PATH'),
        (["/nonesuch"], "stat /nonesuch: no such file or directory"),
        (["/etc/passwd"], "permission denied"),
    ],
)
def test_a_program_that_cannot_start_is_known_at_create(box: Bundle, args: list[str], words: str) -> None:
    box.process["args"] = args
    box.write()
    done = box.call("create", box.id, check=False)
    assert (done.code, "cove-oci create failed: unable to start container process" in done.err) == (1, True)
    assert words in done.err.replace("\\", "")
    assert list(box.state.iterdir()) == []


def test_the_log_says_why_in_json(box: Bundle, tmp_path: Path) -> None:
    box.process["args"] = ["nonesuch"]
    box.write()
    done = box.call("--log", str(tmp_path / "log"), "--log-format", "json", "create", box.id, check=False)
    entry = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert entry["level"] == "error"
    assert 'exec: "nonesuch": executable file not found' in entry["msg"]
    assert done.err.strip() == entry["msg"]


def test_pause_and_resume(box: Bundle) -> None:
    box.begin("sleep 100")
    box.call("pause", box.id)
    assert box.status() == "paused"
    assert "cannot exec in a paused container" in box.call("exec", box.id, "true", check=False).err
    box.call("resume", box.id)
    assert box.status() == "running"
    assert "not paused" in box.call("resume", box.id, check=False).err


def test_signals_reach_the_program_of_a_foreground_run(box: Bundle) -> None:
    box.process["args"] = ["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"]
    box.write()
    argv = [str(oci.PROGRAM), "--root", str(box.state), "run", box.id]
    with subprocess.Popen(argv, cwd=box.directory, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 5


def test_exec(box: Bundle, tmp_path: Path) -> None:
    box.begin("sleep 100")
    done = box.call(
        "exec", "--env", "A=b", "--cwd", "/home", "--user", "1000:1001", box.id, "sh", "-c", _WHO, check=False
    )
    assert (done.code, done.out) == (4, "1000 1001 /home b 0\n")
    assert box.call("exec", box.id, "nonesuch", check=False).code == 255
    (tmp_path / "process.json").write_text(
        json.dumps({"args": ["touch", "/tmp/made"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}})
    )
    box.call("exec", "-d", "--process", str(tmp_path / "process.json"), "--pid-file", str(tmp_path / "pid"), box.id)
    assert int((tmp_path / "pid").read_text()) > 1
    eventually(lambda: box.call("exec", box.id, "test", "-e", "/tmp/made", check=False).code == 0)


_WHO = "echo $(id -u) $(id -g) $(pwd) $A $((0x$(grep CapEff /proc/self/status | cut -f2))); exit 4"


def test_ps_and_list(box: Bundle) -> None:
    box.begin("sleep 100 & wait")
    eventually(lambda: len(json.loads(box.call("ps", "-f", "json", box.id).out)) == 2)
    assert "sleep 100" in box.call("ps", box.id).out
    assert box.call("list", "-q").out == f"{box.id}\n"
    (listed,) = json.loads(box.call("list", "--format=json").out)
    assert (listed["id"], listed["status"], listed["owner"]) == (box.id, "running", "root")
    assert box.call("list").out.split()[:6] == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]


def test_events_and_update(box: Bundle) -> None:
    box.begin("sleep 100")
    box.call("update", "--memory", "64m", "--memory-swap", "64m", "--pids-limit", "17", box.id)
    event = json.loads(box.call("events", "--stats", box.id).out)
    assert (event["type"], event["id"]) == ("stats", box.id)
    assert event["data"]["memory"]["usage"]["limit"] == 64 << 20
    assert event["data"]["pids"]["limit"] == 17
    box.call("update", "-r", "-", box.id, input='{"pids": {"limit": 19}, "memory": null}')
    assert json.loads(box.call("events", "--stats", box.id).out)["data"]["pids"]["limit"] == 19
    assert "invalid value" in box.call("update", "--memory", "lots", box.id, check=False).err


def test_a_console_socket_gets_the_terminal(box: Bundle, tmp_path: Path) -> None:
    box.process |= {
        "terminal": True,
        "args": ["sh", "-c", "stty size; tty"],
        "consoleSize": {"height": 33, "width": 44},
    }
    box.write()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)
        listener.bind("console")
        listener.listen()
        box.call("create", "--console-socket", str(tmp_path / "console"), box.id)
        connection, _ = listener.accept()
        with connection:
            _name, ((_level, _kind, data),), _flags, _address = connection.recvmsg(100, socket.CMSG_SPACE(4))
    (master,) = array.array("i", data)
    box.call("start", box.id)
    with open(master, "rb", buffering=0) as terminal:
        output = _read_terminal(terminal.fileno())
    assert output.split() == ["33", "44", "/dev/pts/0"]


def _read_terminal(descriptor: int) -> str:
    data = b""
    while True:
        try:
            chunk = os.read(descriptor, 1000)
        except OSError:
            return data.decode()
        data += chunk


def test_a_terminal_needs_someone_who_takes_it(box: Bundle) -> None:
    box.process["terminal"] = True
    box.write()
    assert "--console-socket" in box.call("create", box.id, check=False).err


def test_descriptors_are_passed_on_when_asked(box: Bundle, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept ")
    box.process["args"] = ["sh", "-c", "cat <&3; cat <&4"]
    box.write()
    command = (
        f"exec {oci.PROGRAM} --root {box.state} run --preserve-fds $0 {box.id} 3<{tmp_path}/secret 4<{tmp_path}/secret"
    )
    for count, output in (("1", "kept "), ("2", "kept kept ")):
        done = subprocess.run(["sh", "-c", command, count], capture_output=True, text=True, cwd=box.directory)
        assert done.stdout == output
    assert "--preserve-fds" in box.call("run", "--preserve-fds", "40", box.id, check=False).err


# the configuration


def test_the_whole_process_section(box: Bundle) -> None:
    box.process |= {
        "user": {"uid": 1000, "gid": 1001, "umask": 0o027, "additionalGids": [5, 6]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        "noNewPrivileges": True,
        "oomScoreAdj": 321,
        "scheduler": {"policy": "SCHED_BATCH", "nice": 5},
        "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
        "capabilities": {
            kind: ["CAP_KILL", "CAP_NONESUCH"]
            for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")
        },
    }
    script = """
        id -u; id -g; id -G; umask; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; ionice
        cut -d' ' -f19,41 /proc/self/stat
        grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNew' /proc/self/status | tr '\\t' ' '
    """
    done = box.run(script)
    kill = "0000000000000020"
    assert done.out.splitlines() == [
        *("1000", "1001", "1001 5 6", "0027", "100", "200", "321", "idle", "5 3"),
        *(f"Cap{kind}: {kill}" for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")),
        "NoNewPrivs: 1",
    ]
    assert "CAP_NONESUCH" in done.err


def test_personality(box: Bundle) -> None:
    box.linux["personality"] = {"domain": "LINUX32"}
    assert box.run("cat /proc/self/personality").out.strip() == "00000008"
    box.linux["personality"] = {"domain": "PLAN9"}
    assert "linux.personality.domain" in box.run("true", check=False).err


def test_the_processors_of_an_exec(box: Bundle, tmp_path: Path) -> None:
    box.process["execCPUAffinity"] = {"initial": "0", "final": "1"}
    box.begin("sleep 100")
    found = box.call("exec", box.id, "grep", "Cpus_allowed_list", "/proc/self/status").out
    assert found.split()[-1] == "1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"process": {"apparmorProfile": "x"}}, "process.apparmorProfile"),
        ({"process": {"selinuxLabel": "x"}}, "process.selinuxLabel"),
        ({"linux": {"mountLabel": "x"}}, "linux.mountLabel"),
        ({"linux": {"intelRdt": {"closID": "x"}}}, "linux.intelRdt"),
        ({"linux": {"timeOffsets": {"boottime": {"secs": 1}}}}, "linux.timeOffsets"),
        ({"linux": {"uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}}, "user namespace"),
        ({"linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}, {"type": "mount"}]}}, "duplicated ns"),
        ({"linux": {"namespaces": [{"type": "moon"}]}}, "'moon' does not exist"),
        ({"linux": {"sysctl": {"kernel.panic": "1"}}}, "not in a separate kernel namespace"),
        ({"process": {"cwd": "relative"}}, "process.cwd"),
        ({"process": {"args": []}}, "process.args"),
        ({"process": {"scheduler": {"policy": "SCHED_BEST"}}}, "process.scheduler.policy"),
        ({"process": {"ioPriority": {"class": "FIRST"}}}, "process.ioPriority.class"),
        ({"root": {"path": "/nonesuch"}}, "root.path"),
        ({"ociVersion": "9.9"}, "ociVersion"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(box: Bundle, change: dict[str, Any], words: str) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and key != "root":
            box.config[key] |= value
        else:
            box.config[key] = value
    box.write()
    done = box.call("run", box.id, check=False)
    assert done.code == 1
    assert words in done.err.replace("\\", "")
    assert not list(box.state.glob("*"))


def test_a_broken_bundle_is_refused(box: Bundle) -> None:
    assert "config.json not found" in box.call("run", box.id, check=False).err
    for text in ("{", "[]", '"x"', "null", '{"ociVersion": "1.0.0", "process": [], "root": 7}'):
        (box.directory / "config.json").write_text(text)
        done = box.call("run", box.id, check=False)
        assert (done.code, "config.json" in done.err or "." in done.err) == (1, True)
        assert "Traceback" not in done.err


def test_mounts_in_their_order_with_all_options(box: Bundle, tmp_path: Path) -> None:
    (tmp_path / "source/below").mkdir(parents=True)
    (tmp_path / "file").write_text("bound\n")
    subprocess.run(["mount", "-t", "tmpfs", "below", tmp_path / "source/below"], check=True)
    try:
        box.mount("/mnt", "tmpfs", "first", "size=4m", "mode=0711", "nosuid")
        box.mount("/mnt/inner", "bind", tmp_path / "source", "rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rslave")
        box.mount("/etc/one", "bind", tmp_path / "file", "bind", "ro")
        box.mount("/home", "tmpfs", "copy", "tmpcopyup", "nr_inodes=100", "noatime")
        found = box.run(
            "stat -c %a /mnt; grep ' /mnt' /proc/self/mountinfo; cat /etc/one; echo > /etc/one;"
            "grep -c ' /home ' /proc/mounts"
        )
    finally:
        subprocess.run(["umount", tmp_path / "source/below"], check=True)
    lines = found.out.splitlines()
    assert lines[0] == "711"
    mounts = {line.split()[4]: line.split()[5] for line in lines[1:4]}
    assert list(mounts) == ["/mnt", "/mnt/inner", "/mnt/inner/below"]
    assert mounts["/mnt"].startswith("rw,nosuid")
    assert all(mounts[path].startswith("ro,nosuid,nodev,noexec") for path in ("/mnt/inner", "/mnt/inner/below"))
    assert lines[4:] == ["bound", "1"]
    assert "Read-only file system" in found.err


def test_a_tmpfs_that_begins_with_what_is_there(box: Bundle, root: Path) -> None:
    (root / "var/lib").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/file").write_text("from the image\n")
    (root / "var/link").unlink(missing_ok=True)
    (root / "var/link").symlink_to("lib/file")
    os.chown(root / "var/lib/file", 12, 34)
    box.mount("/var", "tmpfs", "tmpfs", "tmpcopyup")
    assert (
        box.run("cat /var/link; stat -c '%u %g' /var/lib/file; echo new > /var/lib/file").out
        == "from the image\n12 34\n"
    )
    assert (root / "var/lib/file").read_text() == "from the image\n"


def test_idmapped_mounts(box: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.mkdir()
    (source / "file").write_text("")
    os.chown(source / "file", 1000, 1000)
    shift = [{"containerID": 1000, "hostID": 2000, "size": 10}]
    box.mount("/mnt", "bind", source, "bind", "idmap", uidMappings=shift, gidMappings=shift)
    assert box.run("stat -c '%u %g' /mnt/file").out == "2000 2000\n"
    box.config["mounts"].pop()
    box.mount("/mnt", "bind", source, "rbind", "ridmap", uidMappings=shift, gidMappings=shift)
    assert box.run("stat -c '%u %g' /mnt/file").out == "2000 2000\n"
    box.config["mounts"].pop()
    box.mount("/mnt", "tmpfs", "tmpfs", uidMappings=shift, gidMappings=shift)
    assert "only a bind mount can be idmapped" in box.run("true", check=False).err


def test_a_user_namespace_with_mappings(box: Bundle, tmp_path: Path, root: Path) -> None:
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.linux["namespaces"].append({"type": "user"})
    box.linux |= {"uidMappings": mapping, "gidMappings": mapping}
    for path in (tmp_path, *tmp_path.parents, root.parent):
        if str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o011)
    box.process["cwd"] = "/"
    done = box.run(
        "id -u; cat /proc/self/uid_map; echo $$; [ -c /dev/null ] && echo x > /dev/null && echo ok; hostname"
    )
    assert done.out.split() == ["0", "0", "100000", "65536", "1", "ok", "box"]
    box.begin("sleep 100")
    pid = json.loads(box.call("state", box.id).out)["pid"]
    assert os.stat(f"/proc/{pid}").st_uid == 100000
    inside = box.call(
        "exec", box.id, "sh", "-c", "id -u; readlink /proc/self/ns/user; readlink /proc/1/ns/user"
    ).out.split()
    assert inside[0] == "0"
    assert inside[1] == inside[2]


def test_a_time_namespace_with_offsets(box: Bundle) -> None:
    box.linux["namespaces"].append({"type": "time"})
    box.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000}}
    uptime = float(box.run("cat /proc/uptime").out.split()[0])
    assert uptime - time.clock_gettime(time.CLOCK_BOOTTIME) > 900_000


def test_namespaces_by_path(make: Make) -> None:
    first, second = make("first"), make("second")
    first.begin("hostname shared; sleep 100")
    pid = json.loads(first.call("state", first.id).out)["pid"]
    files = {"pid": "pid", "network": "net", "uts": "uts", "ipc": "ipc"}
    second.linux["namespaces"] = [
        {"type": "mount"},
        *({"type": kind, "path": f"/proc/{pid}/ns/{file}"} for kind, file in files.items()),
    ]
    script = "for n in pid net uts ipc; do readlink /proc/self/ns/$n; done; [ $$ -gt 1 ] && echo not first"
    seen = second.run(script).out.splitlines()
    assert seen == [*(os.readlink(f"/proc/{pid}/ns/{file}") for file in files.values()), "not first"]


def test_sysctl_devices_masks_and_a_read_only_root(box: Bundle) -> None:
    box.linux |= {
        "sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"},
        "devices": [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8}],
        "maskedPaths": ["/proc/keys", "/proc/irq"],
        "readonlyPaths": ["/proc/sys"],
    }
    box.config["root"]["readonly"] = True
    done = box.run(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; stat -c '%F %a %u %g %t %T' /dev/mine;"
        "cat /proc/keys; ls /proc/irq; echo 0 > /proc/sys/kernel/msgmax; touch /file; true"
    )
    assert done.out.splitlines() == ["1", "4096", "character special file 640 7 8 1 3"]
    assert done.err.count("Read-only file system") == 2


@pytest.mark.parametrize(("word", "shown"), [("shared", "shared:"), ("rslave", ""), ("private", "")])
def test_propagation_of_the_root(box: Bundle, word: str, shown: str) -> None:
    box.linux["rootfsPropagation"] = word
    (line,) = [line for line in box.run("cat /proc/self/mountinfo").out.splitlines() if line.split()[4] == "/"]
    assert shown in line
    assert ("shared:" in line) == bool(shown)


def test_the_interpreter_cannot_be_written_through_a_process_that_enters(box: Bundle) -> None:
    box.process["args"] = ["true"]
    box.write()
    command = [str(oci.PROGRAM), "--root", str(box.state), "create", box.id]
    subprocess.run(command, check=True, cwd=box.directory)  # its program holds on to the streams
    pid = json.loads(box.call("state", box.id).out)["pid"]
    executable = f"/proc/{pid}/exe"
    with pytest.raises(OSError) as refused:  # to open it for writing fails with ETXTBSY while any Python runs
        os.chmod(executable, stat.S_IMODE(os.stat(executable).st_mode))
    assert refused.value.errno == errno.EROFS


def validate(document: object, name: str) -> None:
    """By a schema of the runtime specification."""
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMA.glob("*.json")}
    for file, schema in schemas.items():
        schema["id"] = f"file:///schema/{file}"
    resources = [(schema["id"], Resource.from_contents(schema, DRAFT4)) for schema in schemas.values()]
    Draft4Validator(schemas[name], registry=Registry().with_resources(resources)).validate(document)


def test_features_are_told_in_the_specifications_form(box: Bundle) -> None:
    document = json.loads(box.call("features").out)
    validate(document, "features-schema.json")
    assert document["hooks"] == list(HOOKS)
    assert {"rro", "ridmap", "tmpcopyup", "rnosuid", "rslave"} <= set(document["mountOptions"])
    assert document["linux"]["intelRdt"] == {"enabled": False}
    assert document["linux"]["cgroup"]["v2"] == cgroups.layout().unified
    assert "time" in document["linux"]["namespaces"]
    assert "SCMP_ACT_NOTIFY" in document["linux"]["seccomp"]["actions"]


def test_without_pivot_root(box: Bundle) -> None:
    assert box.run("ls -d /bin /proc; pwd", "--no-pivot").out.split() == ["/bin", "/proc", "/"]


def test_annotations_are_in_the_state(box: Bundle) -> None:
    box.config["annotations"] = {"a.b": "c"}
    box.begin("sleep 100")
    state = json.loads(box.call("state", box.id).out)
    assert state["annotations"] == {"a.b": "c"}
    validate(state, "state-schema.json")


# hooks

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def hook(log: Path, name: str, command: str = "") -> dict[str, Any]:
    """A hook that writes down where and with what it is run."""
    script = f"printf '{name} %s\\n' \"$(cat)\" >> {log}; {command}"  # one write: the program writes there too
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}


def test_all_hooks_in_their_order_with_the_state(box: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "log"
    box.mount(str(log), "bind", log, "bind")
    log.touch()
    box.config["hooks"] = {name: [hook(log, name), hook(log, f"{name}-2")] for name in HOOKS}
    box.config["annotations"] = {"k": "v"}
    box.run(f"printf 'program\\n' >> {log}")
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [line[0] for line in lines if line[0] not in ("program", "poststart", "poststart-2")] == [
        name + more for name in HOOKS if name != "poststart" for more in ("", "-2")
    ]
    states = {line[0]: json.loads(line[1]) for line in lines if len(line) > 1}
    expected = ["creating", "creating", "creating", "created", "running", "stopped"]
    assert [states[name]["status"] for name in HOOKS] == expected
    assert all(states[name]["id"] == box.id and states[name]["annotations"] == {"k": "v"} for name in HOOKS)
    assert states["prestart"]["bundle"] == str(box.directory)
    assert states["createContainer"]["pid"] == 1
    assert states["prestart"]["pid"] > 1


def test_hooks_are_in_the_right_namespaces(box: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    box.mount(str(log), "bind", log, "bind")
    seen = "echo $(readlink /proc/self/ns/mnt /proc/self/ns/pid) $(ls -d /rootmark 2>/dev/null) >> " + str(log)
    box.config["hooks"] = {
        name: [{"path": "/bin/sh", "args": ["sh", "-c", seen], "env": ["PATH=/bin:/usr/bin"]}] for name in HOOKS
    }
    box.run("sleep 0.3")
    own = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid")]
    lines = [line.split() for line in log.read_text().splitlines()]
    runtime = [line[:2] == own for line in lines]
    assert sorted(runtime) == [False, False, True, True, True, True]
    assert runtime[:3] == [True, True, False]


@pytest.mark.parametrize("name", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_hook_that_fails_ends_the_start(box: Bundle, name: str) -> None:
    failing = {"path": "/bin/sh", "args": ["sh", "-c", "echo no luck >&2; exit 3"]}
    box.config["hooks"] = {name: [failing]}
    done = box.run("echo ran", check=False)
    assert done.code == 1
    assert done.out == ""
    assert f"error running {name} hook #0: exit status 3: no luck" in done.err


@pytest.mark.parametrize("name", ["poststart", "poststop"])
def test_a_late_hook_that_fails_is_a_warning(box: Bundle, name: str) -> None:
    box.config["hooks"] = {name: [{"path": "/bin/false"}, {"path": "/nonesuch"}]}
    done = box.run("echo ran; sleep 0.2")
    assert done.out == "ran\n"
    assert done.err.count("level=warning") == 2


def test_a_hook_has_a_time_limit(box: Bundle) -> None:
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "30"], "timeout": 1}]}
    began = time.monotonic()
    done = box.run("true", check=False)
    assert "longer than its timeout of 1 s" in done.err
    assert time.monotonic() - began < 15


def test_a_template_runs(box: Bundle, root: Path) -> None:
    box.call("spec")
    assert "exists" in box.call("spec", check=False).err
    config = json.loads((box.directory / "config.json").read_text())
    config["root"]["path"] = str(root)
    config["process"] |= {"terminal": False, "args": ["hostname"]}
    config["linux"]["cgroupsPath"] = box.linux["cgroupsPath"]
    (box.directory / "config.json").write_text(json.dumps(config))
    assert box.call("run", box.id).out == "cove\n"


def test_a_killed_create_leaves_no_process(box: Bundle) -> None:
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "5"]}]}
    box.write()
    argv = [str(oci.PROGRAM), "--root", str(box.state), "create", box.id]
    creating = subprocess.Popen(argv, cwd=box.directory)
    group = Path(cgroups.layout().mount_point("pids") or "") / box.linux["cgroupsPath"].lstrip("/")
    eventually(lambda: group.exists() and (group / "cgroup.procs").read_text() != "")
    creating.kill()
    creating.wait()
    eventually(lambda: (group / "cgroup.procs").read_text() == "")
    shutil.rmtree(box.state / box.id, ignore_errors=True)
    for hierarchy in cgroups.layout().hierarchies:
        Path(hierarchy.mount_point + box.linux["cgroupsPath"]).rmdir()


def test_on_a_terminal(box: Bundle) -> None:
    box.process |= {"terminal": True, "args": ["sh", "-c", "tty; read line; echo got $line; exit 6"]}
    box.write()
    argv = [str(oci.PROGRAM), "--root", str(box.state), "run", "--bundle", str(box.directory), box.id]
    with on_terminal(argv, dict(os.environ)) as terminal:
        terminal.expect("/dev/pts/0")
        terminal.send("words\r")
        terminal.expect("got words")
        assert terminal.wait() == 6


def test_a_system_call_filter_for_the_program_and_for_execs(box: Bundle) -> None:
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}],
    }
    assert "File descriptor in bad state" in box.run("mkdir /tmp/x", check=False).err
    box.begin("sleep 100")
    assert "File descriptor in bad state" in box.call("exec", box.id, "mkdir", "/tmp/x", check=False).err
    box.call("delete", "-f", box.id)
    box.linux["seccomp"]["defaultAction"] = "SCMP_ACT_MAYBE"
    assert "linux.seccomp: " in box.run("true", check=False).err


def test_events_tell_of_block_devices_and_huge_pages(box: Bundle, tmp_path: Path) -> None:
    box.mount("/disk", "bind", tmp_path, "bind")
    box.begin("dd if=/dev/zero of=/disk/x bs=1M count=2 oflag=direct 2>/dev/null; touch /disk/done; exec sleep 1000")
    eventually((tmp_path / "done").exists)
    data = json.loads(box.call("events", "--stats", box.id).out)["data"]
    device = os.stat(tmp_path).st_dev
    if Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").exists() and data["blkio"]:
        (written,) = [
            entry["value"]
            for entry in data["blkio"]["ioServiceBytesRecursive"]
            if (entry["major"], entry["minor"], entry["op"]) == (os.major(device), os.minor(device), "Write")
        ]
        assert written >= 2 << 20
    there = any("hugetlb" in hierarchy.controllers for hierarchy in cgroups.layout().hierarchies)
    assert bool(data["hugetlb"]) == (there and bool(os.listdir("/sys/kernel/mm/hugepages")))


@pytest.mark.parametrize("how", ["start", "run"])
def test_a_service_manager_is_told_when_the_program_is_ready(
    box: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The program says it by its own socket, whose path is longer than a socket's address."""
    box.state = box.state / ("deep" * 25)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with manager:
        manager.bind(str(tmp_path / "manager"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
        box.process["args"] = ["sh", "-c", "echo $NOTIFY_SOCKET >/told; exec sleep 1000"]
        box.config["root"]["readonly"] = False
        box.write()
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        command = [str(oci.PROGRAM), "--root", str(box.state)]
        if how == "start":
            subprocess.run([*command, "create", box.id], cwd=box.directory, check=True, timeout=30, **quiet)
        with subprocess.Popen([*command, how, box.id], cwd=box.directory, **quiet) as waiting:
            place = box.state / box.id / "notify/notify.sock"
            eventually(place.exists)
            eventually(lambda: box.status() == "running")
            pid = json.loads(box.call("state", box.id).out)["pid"]
            assert how == "run" or waiting.poll() is None
            inside = f"/proc/{pid}/root/run/notify/notify.sock"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
                program.sendto(b"STATUS=not yet", inside)
                program.sendto(b"STATUS=now\nREADY=1", inside)
            assert manager.recv(4096) == f"READY=1\nMAINPID={pid}".encode()
            if how == "start":
                assert waiting.wait(20) == 0
            else:
                box.call("kill", box.id, "KILL")
                waiting.wait(20)
    monkeypatch.delenv("NOTIFY_SOCKET")
