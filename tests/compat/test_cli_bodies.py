"""``run`` and ``create``: both command lines send the same request for the same options."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# One creation a line. Relative paths are below the test's directory; env.list, labels.list and seccomp.json are there.
LINES = """
busybox
busybox echo hi -n --flag
-it busybox sh
-i -a stdin -a stdout busybox cat
-a stderr busybox
-t busybox
--name web -h box --domainname example.org -u 1000:1000 -w /srv busybox
-e A=1 -e B= -e HOME -e NOT_SET_ANYWHERE --env-file env.list busybox env
-l a=b -l c --label d.e=f=g --label-file labels.list busybox
-p 80 busybox
-p 8080:80 -p 127.0.0.1:8443:443/tcp -p 53:53/udp busybox
-p 8000-8002:80-82 -p 9000-9010:90 busybox
-p [::1]:8080:80 -p ::1:8081:81 -p 127.0.0.1::82 busybox
-p published=8080,target=80,protocol=udp -p target=81 busybox
-P --expose 70 --expose 71-73/udp -p 70:70 busybox
-v /host:/inside:ro -v named:/data -v /anonymous -v ./here:/there -v /h:/c:rshared,z busybox
--mount type=bind,src=/a,dst=/b,readonly --mount type=tmpfs,dst=/t,tmpfs-size=16m,tmpfs-mode=1770 busybox
--mount source=v,target=/v,volume-nocopy,volume-label=x=y,volume-driver=local,volume-opt=type=nfs busybox
--mount type=bind,src=/a,dst=/b,bind-propagation=rslave,bind-recursive=disabled busybox
--mount type=bind,src=/a,dst=/b,ro,bind-propagation=rprivate,bind-recursive=readonly busybox
--mount type=volume,src=v,dst=/v,volume-subpath=sub --mount type=image,src=busybox,dst=/i,image-subpath=x busybox
--tmpfs /run --tmpfs /tmp:size=64m,noexec busybox
--volumes-from other:ro --volume-driver local busybox
-m 512m --memory-reservation 256m --memory-swap 1g --memory-swappiness 10 --kernel-memory 64m busybox
--memory-swap -1 --memory 1.5GiB --shm-size 128mb busybox
--cpus 1.5 --cpu-shares 512 --cpu-period 100000 --cpu-quota 50000 --cpuset-cpus 0-1 --cpuset-mems 0 busybox
--cpu-rt-period 1000 --cpu-rt-runtime 900 --pids-limit 100 --oom-kill-disable --oom-score-adj -500 busybox
--blkio-weight 300 --blkio-weight-device /dev/sda:200 --device-read-bps /dev/sda:1mb busybox
--device-write-bps /dev/sda:2kb --device-read-iops /dev/sda:100 --device-write-iops /dev/sda:200 busybox
--ulimit nofile=1024:2048 --ulimit nproc=64 --ulimit core=-1 busybox
--network host busybox
--network none --pid host --ipc host --uts host --userns host --cgroupns private busybox
--network container:other --pid container:other --ipc container:other busybox
--network mynet --network-alias a --network-alias b --ip 10.0.0.5 --ip6 fd00::5 --link-local-ip 169.254.1.1 busybox
--network name=mynet,alias=a,ip=10.0.0.5,driver-opt=com.example=1,gw-priority=10 --network other busybox
--net mynet --net-alias legacy --link db:database busybox
--link db --link cache:c busybox
--mac-address 92:d0:c6:0a:29:33 busybox
--dns 1.1.1.1 --dns-opt ndots:2 --dns-option timeout:1 --dns-search example.org busybox
--add-host a:10.0.0.1 --add-host b=::1 --add-host c:[::1] --add-host gw:host-gateway busybox
--restart always busybox
--restart on-failure:5 --stop-signal SIGINT --stop-timeout 30 busybox
--rm --init busybox
--init=false --read-only --privileged busybox
--cap-add NET_ADMIN --cap-add SYS_PTRACE --cap-drop ALL --group-add 10 --group-add audio busybox
--security-opt no-new-privileges --security-opt apparmor=unconfined --security-opt label:disable busybox
--security-opt seccomp=seccomp.json --security-opt seccomp=unconfined busybox
--security-opt systempaths=unconfined busybox
--device /dev/null --device /dev/zero:/dev/z --device /dev/full:/dev/f:rw --device /dev/tty:r busybox
--device vendor.com/class=dev0 --device-cgroup-rule 'c 1:3 rwm' busybox
--gpus all busybox
--gpus 2 --gpus '"device=0,1",capabilities=compute,options=a=b' busybox
--log-driver json-file --log-opt max-size=10m --log-opt max-file=3 busybox
--health-cmd 'curl -f localhost' --health-interval 5s --health-timeout 1m30s --health-retries 3 busybox
--health-cmd x --health-start-period 10s --health-start-interval 500ms busybox
--no-healthcheck busybox
--entrypoint /bin/echo busybox hi
--entrypoint= busybox
--sysctl net.core.somaxconn=1024 --sysctl kernel.shmmax=1 --storage-opt size=10G busybox
--annotation a=b --annotation c=d --runtime runc --isolation default --cgroup-parent /mine busybox
--platform linux/amd64 --pull never busybox
--cidfile id.txt -q busybox
-c 5 -it=false --attach STDERR busybox
""".strip().splitlines()

# Flags of the ones that detach and watch: they are not in the body of a creation.
BESIDE_THE_BODY = {"--detach", "--detach-keys", "--sig-proxy", "--disable-content-trust", "--use-api-socket", "--help"}

FILES = {
    "env.list": "# comment\n\nFROM_FILE=1\nHOME\nNOT_SET_ANYWHERE\n  INDENTED=x y \n",
    "labels.list": "from.file=1\n#no\nbare\n",
    "seccomp.json": '{ "defaultAction": "SCMP_ACT_ERRNO",\n  "syscalls": [] }\n',
}


def test_every_option_of_a_creation_is_compared() -> None:
    """Each of the stock command line's is in a line whose request is compared, or named above."""
    text = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout
    spelled = re.findall(r"^\s+(?:(-\w), )?(--[\w-]+)", text, re.MULTILINE)
    assert len(spelled) > 95
    words = {word.partition("=")[0] for line in LINES for word in line.split() if word.startswith("-")}
    letters = {letter for word in words if not word.startswith("--") for letter in word[1:]}
    missing = {
        long
        for short, long in spelled
        if long not in words | BESIDE_THE_BODY and not (short and short[1:] in letters) and not _windows(long, text)
    }
    assert not missing


def _windows(flag: str, help_text: str) -> bool:
    entry = help_text.partition(f"{flag} ")[2].partition(" --")[0]
    return "Windows only" in " ".join(entry.split())


# "run -d" takes no --attach.
DETACHABLE = [line for line in LINES if "-a " not in line and "--attach" not in line]
CREATIONS = [f"create {line}" for line in LINES] + [f"run -d {line}" for line in DETACHABLE]


@pytest.mark.parametrize("line", CREATIONS)
def test_bodies_are_the_same(line: str, host: str, fake: ModuleType, tmp_path: Path) -> None:
    sent = {program: _creation(program, line, fake, tmp_path / program) for program in ("docker", "cove")}
    assert sent["cove"] == sent["docker"]


def _creation(program: str, line: str, fake: ModuleType, directory: Path) -> tuple[str, dict[str, Any]]:
    """The query and body of the creation that a command line asks for."""
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_text(content)
    with fake.FakeEngine(directory, "1.50") as engine:
        argv = ["docker"] if program == "docker" else [sys.executable, "-m", "cove.cli.main"]
        done = subprocess.run(
            [*argv, "-H", engine.host, *shlex.split(line)],
            cwd=directory,
            capture_output=True,
            timeout=30,
            env={**os.environ, "DOCKER_CONFIG": "/nonexistent"},
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        request = engine.sent("POST", "/containers/create")
    return _query(request.target), _normal(json.loads(request.body), directory)


def _query(target: str) -> str:
    return "&".join(sorted(target.partition("?")[2].split("&")))


def _normal(body: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Docker keeps volumes and variables in maps, which have no order; and each program has its directory."""
    text = json.dumps(body).replace(str(directory), "DIRECTORY")
    body = json.loads(text)
    for unordered in (body["HostConfig"]["Binds"], body["Env"]):
        if unordered:
            unordered.sort()
    return body
