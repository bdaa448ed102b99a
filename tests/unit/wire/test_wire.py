"""Wire types: Go's names, Go's reading and Go's writing of JSON."""

import contextlib
import importlib
import json
import pkgutil
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove import wire
from cove.errors import InvalidArgument
from cove.wire.base import Wire, go_name
from cove.wire.coding import decode, encode
from cove.wire.config import Config, HealthConfig
from cove.wire.containers import ContainerCreate, ContainerInspect, ContainerState, ContainerSummary, Health
from cove.wire.execs import ExecCreate, ExecInspect
from cove.wire.host_config import HostConfig
from cove.wire.images import AuthConfig, ImageInspect, Progress
from cove.wire.networks import EndpointSettings, Network, NetworkCreate
from cove.wire.system import DiskUsage, ImagesUsage, Info
from cove.wire.versions import ADDED, COPIED, NEWEST, OLDEST, OMITTED, REMOVED

for module in pkgutil.iter_modules(wire.__path__):
    importlib.import_module(f"cove.wire.{module.name}")


def every_type() -> list[type[Wire]]:
    found, left = [], [Wire]
    while left:
        for kind in left.pop().__subclasses__():
            found.append(kind)
            left.append(kind)
    return found


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("id", "Id"),
        ("image_id", "ImageID"),
        ("exec_ids", "ExecIDs"),
        ("ip_address", "IPAddress"),
        ("global_ipv6_prefix_len", "GlobalIPv6PrefixLen"),
        ("nano_cpus", "NanoCpus"),
        ("cpu_shares", "CpuShares"),
        ("oom_kill_disable", "OomKillDisable"),
        ("ipam_config", "IPAMConfig"),
    ],
)
def test_go_names(field: str, name: str) -> None:
    assert go_name(field) == name


NAMES = {
    HostConfig: """
        Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom
        ConsoleSize CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links
        OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt UTSMode UsernsMode ShmSize Runtime
        Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps
        BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod
        CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests MemoryReservation
        MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps
        IOMaximumBandwidth MaskedPaths ReadonlyPaths
    """,
    Config: """
        Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin StdinOnce Env Cmd
        Image Volumes WorkingDir Entrypoint OnBuild Labels
    """,
    ContainerState: """
        Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt
    """,
    ContainerInspect: """
        Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver
        Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config
        NetworkSettings
    """,
    ContainerSummary: """
        Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings Mounts
    """,
    EndpointSettings: """
        IPAMConfig Links Aliases NetworkID EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address
        GlobalIPv6PrefixLen MacAddress DriverOpts
    """,
    Network: """
        Name Id Created Scope Driver EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom ConfigOnly Containers
        Options Labels
    """,
    ExecInspect: """
        ID Running ExitCode ProcessConfig OpenStdin OpenStderr OpenStdout CanRemove ContainerID DetachKeys Pid
    """,
    Info: """
        ID NCPU MemTotal CgroupVersion OSType OSVersion CPUShares CPUSet NFd NGoroutines IndexServerAddress
        ContainerdCommit InitBinary CpuCfsPeriod IPv4Forwarding NEventsListener
    """,
}


@pytest.mark.parametrize("kind", NAMES)
def test_fields_have_dockers_names(kind: type[Wire]) -> None:
    assert set(NAMES[kind].split()) <= set(kind.__struct_encode_fields__)


@pytest.mark.parametrize("kind", every_type())
def test_markers_name_fields(kind: type[Wire]) -> None:
    """What ``omit_empty`` and ``words`` name, and what the version tables name, exists."""
    assert kind.omit_empty | kind.words <= set(kind.__struct_fields__)
    assert {source for source, _ in COPIED.get(kind, {}).values()} <= set(kind.__struct_encode_fields__)
    for table in (ADDED, REMOVED, OMITTED):
        assert set(table.get(kind, {})) <= set(kind.__struct_encode_fields__)
        assert all(OLDEST <= since <= NEWEST for since in table.get(kind, {}).values())


def shown(value: Wire, version: tuple[int, int] = NEWEST) -> Any:
    return json.loads(encode(value, version))


def test_empty_fields_go_as_in_go() -> None:
    config = shown(Config(stop_timeout=0, exposed_ports={}, shell=[]))
    assert config["StopTimeout"] == 0
    assert not {"ExposedPorts", "Shell", "Healthcheck", "StopSignal", "MacAddress"} & set(config)
    assert config["Env"] is None
    assert shown(HostConfig(init=False))["Init"] is False
    assert "Init" not in shown(HostConfig())
    assert shown(Config(healthcheck=HealthConfig(test=["NONE"])))["Healthcheck"] == {"Test": ["NONE"]}
    assert shown(ContainerState(health=Health()))["Health"]["Status"] == "none"
    assert shown(Progress(status="x")) == {"status": "x"}


def test_trimming_reaches_into_lists_and_maps() -> None:
    inspect = ContainerInspect(id="x", created="")
    inspect.network_settings.networks["n"] = EndpointSettings()
    assert "GwPriority" not in shown(inspect, (1, 47))["NetworkSettings"]["Networks"]["n"]
    assert "GwPriority" in shown(inspect, (1, 48))["NetworkSettings"]["Networks"]["n"]
    summaries = [ContainerSummary(id="x", names=[])]
    assert "SizeRw" not in json.loads(encode(summaries))[0]
    assert shown(ImageInspect(id="x", size=3), (1, 41))["VirtualSize"] == 3
    assert encode([]) == b"[]\n"


def test_older_versions_see_other_names_among_the_aliases() -> None:
    endpoint = EndpointSettings(aliases=["www"], dns_names=["web", "www", "0123456789ab", "box"])
    assert shown(endpoint, (1, 44))["Aliases"] == ["www", "0123456789ab", "box"]
    assert shown(endpoint, (1, 45))["Aliases"] == ["www"] and shown(EndpointSettings(), (1, 41))["Aliases"] is None


def test_what_newer_versions_do_not_show() -> None:
    inspect = ContainerInspect(id="x", created="")
    inspect.network_settings.ip_address = "10.0.0.2"
    assert shown(inspect, (1, 51))["NetworkSettings"]["IPAddress"] == "10.0.0.2"
    assert set(shown(inspect)["NetworkSettings"]) == {"SandboxID", "SandboxKey", "Ports", "Networks"}
    assert "OnBuild" in shown(Config(), (1, 51)) and "OnBuild" not in shown(Config())
    assert shown(Config(on_build=["RUN x"]))["OnBuild"] == ["RUN x"]
    assert shown(DiskUsage(image_usage=ImagesUsage()), (1, 51)).keys() == {
        *("LayersSize", "Images", "Containers", "Volumes", "BuildCache")
    }
    assert set(shown(DiskUsage(image_usage=ImagesUsage()))) == {"ImageUsage"}


def test_reading_passes_over_what_the_version_does_not_have() -> None:
    body = (
        b'{"MacAddress":"02:00:00:00:00:01","HostConfig":{"Annotations":{"a":"b"}},"Healthcheck":{"StartInterval":9}}'
    )
    old, new = decode(body, ContainerCreate, (1, 42)), decode(body, ContainerCreate)
    assert (old.mac_address, new.mac_address) == ("02:00:00:00:00:01", "")
    assert (old.host_config.annotations, new.host_config.annotations) == (None, {"a": "b"})
    assert (
        old.healthcheck
        and new.healthcheck
        and (old.healthcheck.start_interval, new.healthcheck.start_interval) == (0, 9)
    )


def test_of_a_key_that_comes_twice_the_last_value_counts() -> None:
    assert decode(b'{"Image":"a","Image":"b"}', ContainerCreate).image == "b"


def test_writing_leaves_the_value_alone() -> None:
    inspect = ContainerInspect(id="x", created="")
    before = msgspec.json.encode(inspect)
    encode(inspect, (1, 24))
    assert msgspec.json.encode(inspect) == before


def test_reading_ignores_case_and_unknown_fields() -> None:
    request = decode(b'{"IMAGE":"a","hostconfig":{"nanocpus":5},"what":{}}', ContainerCreate)
    assert (request.image, request.host_config.nano_cpus) == ("a", 5)


def test_reading_takes_null_for_zero() -> None:
    body = dict.fromkeys(ContainerCreate.__struct_encode_fields__)
    assert decode(json.dumps(body), ContainerCreate) == ContainerCreate()
    assert decode(b'{"Labels":{"a":null},"Options":{"b":"c"}}', NetworkCreate).labels == {"a": ""}


def test_reading_takes_one_word_for_a_list() -> None:
    assert decode(b'{"Cmd":"ls","Entrypoint":["a"]}', ContainerCreate).cmd == ["ls"]
    assert decode(b'{"Cmd":"ls"}', ExecCreate).cmd == ["ls"]
    with pytest.raises(InvalidArgument, match="Env: expected"):
        decode(b'{"Env":"a"}', ContainerCreate)


def test_reading_keeps_null_where_it_means_something() -> None:
    request = decode(b'{"HostConfig":{"PortBindings":{"80/tcp":null},"PidsLimit":null}}', ContainerCreate)
    assert request.host_config.port_bindings == {"80/tcp": None}
    assert request.host_config.pids_limit is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"HostConfig":{"Ulimits":[{"Soft":"x"}]}}', r"HostConfig\.Ulimits\[0\]\.Soft: expected int, got str"),
        (b'{"HostConfig":[]}', "HostConfig: expected object, got array"),
        (b'{"StopTimeout":9223372036854775808}', "StopTimeout: the number is out of range"),
        (b'{"Tty":"yes"}', "Tty: expected bool, got str"),
        (b"5", "expected object, got int"),
        (b"", "invalid JSON"),
        (b'{"a":1}x', "invalid JSON"),
    ],
)
def test_reading_names_the_field(body: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        decode(body, ContainerCreate)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_reading_only_raises_ours(body: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        decode(body, ContainerCreate)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(ContainerCreate.__struct_encode_fields__), json_values))
def test_any_json_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        request = decode(json.dumps(body), ContainerCreate)
    except InvalidArgument:
        return
    assert encode(decode(encode(request), ContainerCreate)) == encode(request)


def test_credentials_have_their_own_names() -> None:
    auth = decode(b'{"username":"u","serveraddress":"s","identitytoken":"t"}', AuthConfig)
    assert (auth.username, auth.server_address, auth.identity_token) == ("u", "s", "t")
