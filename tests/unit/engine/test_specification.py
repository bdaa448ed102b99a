"""The OCI configuration of a start: valid by the specification's own schema, and what each option makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT4

from cove.engine.bundle import privileges
from cove.engine.bundle.devices import Given
from cove.engine.bundle.specification import Surroundings, resources, specification
from cove.engine.mounting.mounts import points
from cove.wire.config import Config
from cove.wire.host_config import HostConfig, Mount, TmpfsOptions, Ulimit
from unit.engine.containers import record

SCHEMA = Path(__file__).parents[2] / "data" / "oci-runtime"

AROUND = Surroundings(
    root_path="/data/rootfs",
    cgroup_path="/cove/c",
    namespaces={},
    etc_files={"/etc/hosts": "/data/hosts", "/etc/hostname": "/data/hostname"},
    init_path=None,
    devices=Given([], []),
    block={},
)


def validator() -> Draft4Validator:
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMA.glob("*.json")}
    base = "file:///schema/"
    for name, schema in schemas.items():
        schema["id"] = f"{base}{name}"
    registry: Registry[Any] = Registry().with_resources(
        (f"{base}{name}", DRAFT4.create_resource(schema)) for name, schema in schemas.items()
    )
    return Draft4Validator(schemas["config-schema.json"], registry=registry)


VALIDATOR = validator()


def spec(host: dict[str, Any] | None = None, around: Surroundings = AROUND, **config: Any) -> dict[str, Any]:
    """As the runtime gets it; checked against the schema."""
    asked = {"network_mode": "bridge", **(host or {})}
    settings = {"hostname": "web", "cmd": ["true"], **config}
    found = points(Config(**settings), HostConfig(**asked))
    made = specification(record(config=settings, host=asked, mounts=found), around)
    whole: dict[str, Any] = json.loads(json.dumps(made))
    VALIDATOR.validate(whole)
    return whole


def namespaces(made: dict[str, Any]) -> dict[str, str | None]:
    return {item["type"]: item.get("path") for item in made["linux"]["namespaces"]}


def mount(made: dict[str, Any], destination: str) -> dict[str, Any]:
    [found] = [item for item in made["mounts"] if item["destination"] == destination]
    return dict(found)


def test_the_schema_can_refuse() -> None:
    made = spec()
    made["process"]["args"] = "true"
    assert not VALIDATOR.is_valid(made)


def test_the_defaults_are_docker_s() -> None:
    made = spec()
    assert made["process"]["args"] == ["true"] and made["process"]["cwd"] == "/" and made["hostname"] == "web"
    assert made["process"]["env"] == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=web",
    ]
    assert made["process"]["capabilities"]["bounding"] == [
        name for name in privileges.ALL_CAPABILITIES if name in privileges.DEFAULT_CAPABILITIES
    ]
    assert made["root"] == {"path": "/data/rootfs", "readonly": False}
    assert namespaces(made) == dict.fromkeys(("mount", "pid", "ipc", "uts", "network", "cgroup"))
    assert made["linux"]["maskedPaths"] == list(privileges.MASKED_PATHS)
    assert made["linux"]["readonlyPaths"] == list(privileges.READONLY_PATHS)
    assert made["linux"]["cgroupsPath"] == "/cove/c" and not made["process"]["noNewPrivileges"]
    assert "ro" in mount(made, "/sys")["options"] and "size=67108864" in mount(made, "/dev/shm")["options"]


def test_a_privileged_container_may_do_everything() -> None:
    made = spec({"privileged": True, "cap_drop": ["ALL"]})
    assert made["process"]["capabilities"]["effective"] == list(privileges.available())
    assert made["linux"]["maskedPaths"] == [] and made["linux"]["readonlyPaths"] == []
    assert made["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "rw" in mount(made, "/sys")["options"] and "rw" in mount(made, "/sys/fs/cgroup")["options"]


@pytest.mark.parametrize(
    ("add", "drop", "chosen"),
    [
        (["NET_ADMIN"], ["all"], {"CAP_NET_ADMIN"}),
        (["cap_sys_time"], [], {*privileges.DEFAULT_CAPABILITIES, "CAP_SYS_TIME"}),
        ([], ["CAP_CHOWN", "kill"], {*privileges.DEFAULT_CAPABILITIES} - {"CAP_CHOWN", "CAP_KILL"}),
        (["ALL"], ["SYS_ADMIN"], {*privileges.available()} - {"CAP_SYS_ADMIN"}),
        (["ALL"], ["ALL"], {*privileges.available()}),
        ([], ["ALL"], set()),
    ],
)
def test_capabilities(add: list[str], drop: list[str], chosen: set[str]) -> None:
    made = spec({"cap_add": add, "cap_drop": drop})["process"]["capabilities"]
    assert set(made) == {"bounding", "effective", "permitted"}
    assert all(set(names) == chosen for names in made.values())


@pytest.mark.parametrize(
    ("host", "absent"),
    [
        ({"pid_mode": "host"}, "pid"),
        ({"ipc_mode": "host"}, "ipc"),
        ({"uts_mode": "host"}, "uts"),
        ({"network_mode": "host"}, "network"),
        ({"cgroupns_mode": "host"}, "cgroup"),
    ],
)
def test_the_host_s_namespaces(host: dict[str, str], absent: str) -> None:
    made = spec(host)
    assert absent not in namespaces(made) and len(namespaces(made)) == 5
    assert ("hostname" in made) == (absent != "uts")


def test_another_container_s_namespaces() -> None:
    joined = {"network": "/proc/7/ns/net", "pid": "/proc/7/ns/pid", "ipc": "/proc/7/ns/ipc"}
    made = spec(
        {"network_mode": "container:x", "pid_mode": "container:x", "ipc_mode": "container:x"},
        AROUND._replace(namespaces=joined),
    )
    assert {kind: path for kind, path in namespaces(made).items() if path} == joined


def test_the_host_s_ipc_brings_its_shared_memory() -> None:
    made = spec({"ipc_mode": "host"})
    assert (mount(made, "/dev/shm")["type"], mount(made, "/dev/shm")["source"]) == ("bind", "/dev/shm")
    assert mount(made, "/dev/mqueue")["type"] == "mqueue", "of the host's namespace, whether the host mounts it or not"


def test_a_shared_ipc_namespace_brings_its_shared_memory() -> None:
    made = spec({"ipc_mode": "container:x"}, AROUND._replace(namespaces={"ipc": "/proc/7/ns/ipc"}))
    shared = mount(made, "/dev/shm")
    assert (shared["type"], shared["source"], shared["namespace"]) == ("bind", "/dev/shm", "/proc/7/ns/mnt")


def test_no_ipc_has_no_shared_memory() -> None:
    assert "/dev/shm" not in {entry["destination"] for entry in spec({"ipc_mode": "none"}).get("mounts", [])}


@pytest.mark.parametrize(
    ("host", "limits"),
    [
        ({"memory": 10 << 20}, {"memory": {"limit": 10 << 20, "swap": 20 << 20}}),
        ({"memory": 10 << 20, "memory_swap": -1}, {"memory": {"limit": 10 << 20, "swap": -1}}),
        (
            {"memory_reservation": 7 << 20, "memory_swappiness": 0},
            {"memory": {"reservation": 7 << 20, "swappiness": 0}},
        ),
        ({"memory_swappiness": -1}, {}),
        ({"oom_kill_disable": True}, {"memory": {"disableOOMKiller": True}}),
        ({"nano_cpus": 1_500_000_000}, {"cpu": {"period": 100_000, "quota": 150_000}}),
        (
            {"cpu_quota": 5000, "cpu_period": 2000, "cpu_shares": 9},
            {"cpu": {"shares": 9, "quota": 5000, "period": 2000}},
        ),
        ({"cpuset_cpus": "0-1", "cpuset_mems": "0"}, {"cpu": {"cpus": "0-1", "mems": "0"}}),
        ({"pids_limit": 5}, {"pids": {"limit": 5}}),
        ({"pids_limit": 0}, {}),
        ({"pids_limit": -1}, {}),
        ({"blkio_weight": 300}, {"blockIO": {"weight": 300}}),
    ],
)
def test_limits(host: dict[str, Any], limits: dict[str, Any]) -> None:
    assert resources(HostConfig(**host), {}) == limits
    spec(host)


def test_mounts_come_parents_first_and_in_place_of_the_engine_s() -> None:
    made = spec({"binds": ["/x:/a/b/c", "/y:/a", "/z:/etc/hosts", "/s:/dev/shm:ro"], "tmpfs": {"/a/b": ""}})
    order = [item["destination"] for item in made["mounts"]]
    assert order.index("/proc") < order.index("/etc/hostname") < order.index("/a") < order.index("/a/b")
    assert order.index("/a/b") < order.index("/a/b/c") and len(order) == len(set(order))
    assert mount(made, "/etc/hosts")["source"] == "/z"
    assert mount(made, "/dev/shm") == {
        "destination": "/dev/shm",
        "type": "bind",
        "source": "/s",
        "options": ["rbind", "rprivate", "rro"],
    }


def test_temporary_file_systems() -> None:
    given = Mount(type="tmpfs", target="/m", read_only=True, tmpfs_options=TmpfsOptions(size_bytes=4096, mode=0o1770))
    made = spec({"tmpfs": {"/t": "size=1m,exec", "/u": ""}, "mounts": [given]})
    assert mount(made, "/t")["options"] == ["nosuid", "nodev", "size=1m", "exec"]
    assert mount(made, "/u")["options"] == ["noexec", "nosuid", "nodev"]
    assert mount(made, "/m")["options"] == ["noexec", "nosuid", "nodev", "size=4096", "mode=1770", "ro"]


def test_an_init_runs_the_program() -> None:
    made = spec(around=AROUND._replace(init_path="/usr/bin/tini"), cmd=["a", "b"])
    assert made["process"]["args"] == ["/sbin/docker-init", "--", "a", "b"]
    assert mount(made, "/sbin/docker-init") == {
        "destination": "/sbin/docker-init",
        "type": "bind",
        "source": "/usr/bin/tini",
        "options": ["bind", "ro"],
    }


def test_what_else_a_process_is_given() -> None:
    made = spec(
        {
            "ulimits": [Ulimit(name="nofile", soft=10, hard=20)],
            "security_opt": ["no-new-privileges:true"],
            "oom_score_adj": 100,
            "group_add": ["audio", "5"],
            "console_size": [24, 80],
            "sysctls": {"net.core.somaxconn": "9"},
            "readonly_rootfs": True,
            "annotations": {"a": "b"},
        },
        tty=True,
        user="1:2",
        working_dir="/w",
        domainname="example",
        env=["A=1", "PATH=/x", "HOSTNAME", "A=2"],
    )
    process = made["process"]
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]
    assert process["noNewPrivileges"] and process["oomScoreAdj"] == 100 and process["terminal"]
    assert process["user"] == {"username": "1:2", "additionalGroups": ["audio", "5"]} and process["cwd"] == "/w"
    assert process["env"] == ["PATH=/x", "TERM=xterm", "A=2"]
    assert process["consoleSize"] == {"height": 24, "width": 80}
    assert made["domainname"] == "example" and made["annotations"] == {"a": "b"} and made["root"]["readonly"]
    assert made["linux"]["sysctl"] == {"net.core.somaxconn": "9"}


@pytest.mark.parametrize("option", ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"])
def test_ways_to_forbid_new_privileges(option: str) -> None:
    assert spec({"security_opt": [option]})["process"]["noNewPrivileges"]


def test_system_paths_unconfined_and_chosen() -> None:
    assert spec({"security_opt": ["systempaths=unconfined"]})["linux"]["maskedPaths"] == []
    made = spec({"masked_paths": ["/proc/x"], "readonly_paths": []})["linux"]
    assert made["maskedPaths"] == ["/proc/x"] and made["readonlyPaths"] == []
