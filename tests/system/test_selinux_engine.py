"""The engine's SELinux labels, as the kernel enforces them: with the policy of tests/vm/policy.cil."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import SLOWNESS, Engine

pytestmark = [pytest.mark.root, pytest.mark.needs("selinux", "cove")]

RUN = ("run", "--rm", "--net", "none")
OWN = ("cat", "/proc/self/attr/current")
PROCESS = re.compile(r"system_u:system_r:container_t:(s0:c\d+,c\d+)")
FILE = "system_u:object_r:container_file_t"


@pytest.fixture(scope="module")
def labelling() -> Iterator[Engine]:
    daemon = Daemon(f"cove-test-{os.getpid()}-labels", "--selinux-enabled")
    try:
        daemon.start()
        daemon.load_base_image()
        yield daemon
    finally:
        daemon.close()


@pytest.fixture
def box(labelling: Engine) -> Iterator[Engine]:
    yield labelling
    for name in labelling.docker("ps", "-aq").out.split():
        labelling.docker("rm", "-f", "-v", name)


def label(path: Path) -> str:
    return os.getxattr(path, "security.selinux", follow_symlinks=False).rstrip(b"\0").decode()


def current(engine: Engine, *flags: str) -> str:
    return engine.docker(*RUN, *flags, "busybox", *OWN).out.strip("\0\n")


def inspected(engine: Engine, name: str) -> list[str]:
    return engine.docker("inspect", "-f", "{{.ProcessLabel}} {{.MountLabel}}", name).out.strip("\n").split(" ")


def test_a_container_has_the_policy_s_type_and_categories_of_its_own(box: Engine) -> None:
    for name in ("one", "two"):
        box.docker("run", "-d", "--net", "none", "--name", name, "busybox", "sleep", "600")
    levels = set()
    for name in ("one", "two"):
        process, mount = inspected(box, name)
        found = PROCESS.fullmatch(process)
        assert found and mount == f"{FILE}:{found[1]}"
        seen = box.docker("exec", name, "cat", "/proc/1/attr/current").out
        assert seen.strip("\0\n") == process
        assert box.docker("exec", name, *OWN).out.strip("\0\n") == process
        levels.add(found[1])
    assert len(levels) == 2
    assert "name=selinux" in box.docker("info", "-f", "{{.SecurityOptions}}").out


def test_its_root_is_labelled_and_writable(box: Engine) -> None:
    script = "echo x >/new && echo x >>/etc/passwd && echo x >/dev/shm/x && echo 1.2.3.4 x >>/etc/hosts && echo written"
    assert box.docker(*RUN, "busybox", "sh", "-c", script).out == "written\n"
    box.docker("run", "-d", "--net", "none", "--name", "one", "busybox", "sleep", "600")
    pid = box.docker("inspect", "-f", "{{.State.Pid}}", "one").out.strip()
    for path in ("etc/passwd", "bin/busybox", "dev/shm", "dev/null"):
        assert label(Path(f"/proc/{pid}/root/{path}")) == inspected(box, "one")[1]


def test_files_of_the_host_are_not_written_to_before_they_are_relabelled(box: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("host\n")
    before = label(tmp_path / "file")
    write = ("busybox", "sh", "-c", "echo x >/data/file && cat /data/file")
    refused = box.docker(*RUN, "-v", f"{tmp_path}:/data", *write, check=False)
    assert refused.code and "Permission denied" in refused.err
    assert label(tmp_path / "file") == before
    assert box.docker(*RUN, "-v", f"{tmp_path}:/data:z", *write).out == "x\n"
    assert label(tmp_path / "file") == label(tmp_path) == f"{FILE}:s0"


def test_what_is_one_container_s_own_no_other_opens(box: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret\n")
    (tmp_path / "link").symlink_to("/etc/passwd")
    passwd = label(Path("/etc/passwd"))
    box.docker("run", "-d", "--net", "none", "--name", "one", "-v", f"{tmp_path}:/data:Z", "busybox", "sleep", "600")
    assert box.docker("exec", "one", "cat", "/data/file").out == "secret\n"
    assert label(tmp_path / "file") == inspected(box, "one")[1]
    assert label(Path("/etc/passwd")) == passwd, "links are not followed"
    other = box.docker(*RUN, "-v", f"{tmp_path}:/data", "busybox", "cat", "/data/file", check=False)
    assert other.code and "Permission denied" in other.err
    same = ("--security-opt", f"label=level:{inspected(box, 'one')[1].split(':', 3)[3]}")
    assert box.docker(*RUN, *same, "-v", f"{tmp_path}:/data", "busybox", "cat", "/data/file").out == "secret\n"


def test_a_volume_is_shared_by_containers(box: Engine) -> None:
    box.docker(*RUN, "-v", "kept:/data", "busybox", "sh", "-c", "echo one >/data/file")
    assert box.docker(*RUN, "-v", "kept:/data", "busybox", "sh", "-c", "echo two >>/data/file; cat /data/file").out == (
        "one\ntwo\n"
    )
    box.docker("volume", "rm", "kept")
    assert box.docker(*RUN, "-v", "/data", "busybox", "sh", "-c", "echo own >/data/file; cat /data/file").out == "own\n"


def test_a_part_of_a_volume_is_labelled_with_all_of_it(box: Engine) -> None:
    box.docker(*RUN, "--security-opt", "label=disable", "-v", "parts:/data", "busybox", "mkdir", "/data/part")
    place = box.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "parts").out.strip()
    for path in (place, f"{place}/part"):
        os.setxattr(path, "security.selinux", b"system_u:object_r:host_t:s0")
    part = ("--mount", "type=volume,source=parts,target=/data,volume-subpath=part")
    done = box.cove(*RUN, *part, "busybox", "sh", "-c", "echo x >/data/file && cat /data/file")
    assert done.out == "x\n"
    assert label(Path(place)) == label(Path(place) / "part") == f"{FILE}:s0"


def test_what_is_added_while_it_runs_is_written_to(box: Engine) -> None:
    box.docker("run", "-d", "--net", "none", "--name", "one", "busybox", "sleep", "600")
    box.cove("update", "--mount-add", "type=volume,source=later,target=/later", "one")
    box.cove("update", "--mount-add", "type=tmpfs,target=/memory", "one")
    script = "echo one >/later/file && echo two >/memory/file && cat /later/file /memory/file"
    assert box.docker("exec", "one", "sh", "-c", script).out == "one\ntwo\n"


def test_a_directory_of_the_host_as_a_volume_is_labelled_when_that_is_asked_for(box: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("host\n")
    before = label(tmp_path), label(tmp_path / "file")
    for name, device in (("directory", tmp_path), ("system", "/etc")):
        box.docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={device}", name)
    assert box.docker(*RUN, "-v", "directory:/data", "busybox", "cat", "/data/file").out == "host\n"
    assert (label(tmp_path), label(tmp_path / "file")) == before
    written = box.docker(*RUN, "-v", "directory:/data:z", "busybox", "sh", "-c", "echo x >/data/file; cat /data/file")
    assert written.out == "x\n" and label(tmp_path / "file") == f"{FILE}:s0"
    etc = label(Path("/etc"))
    assert box.docker(*RUN, "-v", "system:/data", "busybox", "true").code == 0
    refused = box.docker(*RUN, "-v", "system:/data:z", "busybox", "true", check=False)
    assert refused.code == 125 and "SELinux relabeling of /etc is not allowed" in refused.err
    assert label(Path("/etc")) == etc


def test_a_deep_tree_is_labelled(box: Engine, tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    try:
        assert box.docker(*RUN, "-v", f"{tmp_path}:/data:z", "busybox", "true").code == 0
        assert os.getxattr(here, "security.selinux").rstrip(b"\0").decode() == f"{FILE}:s0"
    finally:
        os.close(here)
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_start_that_cannot_label_fails_and_holds_nothing(box: Engine, tmp_path: Path) -> None:
    place = tmp_path / "ro"
    place.mkdir()
    subprocess.run(["mount", "--bind", "-o", "ro", place, place], check=True)
    try:
        flags = ("-p", "127.0.0.1:18080:80", "-v", "held:/held")
        refused = box.docker("run", "--rm", *flags, "-v", f"{place}:/data:z", "busybox", "true", check=False)
        assert refused.code == 125
        assert f"error setting label on mount source '{place}': read-only file system" in refused.err
        assert box.docker("ps", "-aq").out == ""
        box.docker("volume", "rm", "held")
        assert box.docker("run", "--rm", *flags, "busybox", "echo", "started").out == "started\n"
    finally:
        subprocess.run(["umount", place], check=True)


def test_options(box: Engine) -> None:
    assert current(box, "--security-opt", "label=disable").split(":")[2] == "host_t"
    assert current(box, "--privileged").split(":")[2] == "host_t"
    assert current(box, "--pid", "host").split(":")[2] == "host_t"
    assert PROCESS.fullmatch(current(box))
    options = ("--security-opt", "label=type:other_t", "--security-opt", "label=level:s0:c5,c9")
    assert current(box, *options) == "system_u:system_r:other_t:s0:c5,c9"
    refused = box.docker(*RUN, *options, "busybox", "sh", "-c", "echo x >/tmp/x", check=False)
    assert "Permission denied" in refused.err
    for wrong, words in (("label=nonesuch", "bad label option"), ("label=color:red", "'disable, user, role, level")):
        done = box.docker("create", "--security-opt", wrong, "busybox", check=False)
        assert done.code and words in done.err
    unknown = box.docker(*RUN, "--security-opt", "label=type:nonesuch_t", "busybox", "true", check=False)
    assert unknown.code and "nonesuch_t" in unknown.err


def test_who_joins_a_container_has_its_label(box: Engine) -> None:
    box.docker("run", "-d", "--net", "none", "--ipc", "shareable", "--name", "one", "busybox", "sleep", "600")
    assert current(box, "--ipc", "container:one") == inspected(box, "one")[0]
    assert current(box, "--pid", "container:one") == inspected(box, "one")[0]
    box.docker("run", "-d", "--net", "none", "--ipc", "shareable", "--name", "two", "busybox", "sleep", "600")
    both = ("--ipc", "container:one", "--pid", "container:two")
    assert "labels aren't the same" in box.docker("create", *both, "busybox", check=False).err


def test_directories_of_the_system_are_not_relabelled(box: Engine) -> None:
    before = label(Path("/etc"))
    refused = box.docker(*RUN, "-v", "/etc:/data:Z", "busybox", "true", check=False)
    assert refused.code == 125 and "SELinux relabeling of /etc is not allowed" in refused.err
    assert label(Path("/etc")) == before


@pytest.mark.timeout(60 * SLOWNESS)  # a daemon starts twice
def test_labels_stay_with_a_container_over_starts_and_daemons(box: Engine) -> None:
    box.docker("run", "--net", "none", "--name", "one", "busybox", *OWN)
    first = inspected(box, "one")
    box.restart()
    assert box.docker("start", "-a", "one").out.strip("\0\n") == first[0]
    assert inspected(box, "one") == first


@pytest.mark.timeout(60 * SLOWNESS)
def test_without_the_setting_containers_have_no_labels(daemon: Engine, tmp_path: Path) -> None:
    assert current(daemon).split(":")[2] == "host_t"
    before = label(tmp_path)
    daemon.docker(*RUN, "-v", f"{tmp_path}:/data:Z", "busybox", "true")
    assert label(tmp_path) == before
