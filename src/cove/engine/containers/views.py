"""What the API shows of a container: its inspection, and its line in a list."""

import time
from collections.abc import Iterable

import msgspec

from cove.engine.containers.container import Container
from cove.engine.containers.record import State
from cove.engine.networking.connectivity import (
    UNLINKED_DRIVERS,
    Connectivity,
    may_join,
    network_mode,
    unlinked_endpoint,
    wanted,
)
from cove.engine.networking.links import Links
from cove.engine.networking.sandboxes import DEFAULT_NETWORKS, dns_names
from cove.network import EndpointRecord, Networks, PortRecord
from cove.units import format_time, human_duration
from cove.wire.containers import (
    ZERO_TIME,
    ContainerInspect,
    ContainerState,
    ContainerSummary,
    Health,
    HealthSummary,
    MountPoint,
    NetworkSettings,
    Port,
    SummaryHostConfig,
    SummaryNetworkSettings,
)
from cove.wire.host_config import HostConfig, PortBinding
from cove.wire.images import DriverData
from cove.wire.networks import EndpointSettings

STORAGE_DRIVER = "overlay2"
"""The name that Docker gives to directories of layers under overlayfs; tools look for it."""


class Views:
    """Builds wire structs from containers."""

    def __init__(self, networks: Networks, connectivity: Connectivity, links: Links) -> None:
        self._links = links
        self._networks = networks
        self._connectivity = connectivity

    def inspect(self, container: Container) -> ContainerInspect:
        record, paths = container.record, container.paths
        arguments = record.arguments
        return ContainerInspect(
            id=record.id,
            created=format_time(record.created),
            path=arguments[0],
            args=arguments[1:],
            state=state(container),
            image=record.image,
            resolv_conf_path="" if record.config.network_disabled else str(paths.resolv_conf),
            hostname_path=str(paths.hostname),
            hosts_path="" if record.config.network_disabled else str(paths.hosts),
            log_path=str(paths.json_log) if record.host_config.log_config.type == "json-file" else "",
            name=f"/{record.name}",
            restart_count=record.state.restart_count,
            driver=STORAGE_DRIVER,
            exec_ids=sorted(container.execs) or None,
            host_config=self._host_config(container),
            graph_driver=DriverData(
                name=STORAGE_DRIVER,
                data={"UpperDir": str(paths.upper), "WorkDir": str(paths.work), "MergedDir": str(paths.root)},
            ),
            mount_label=record.mount_label,
            process_label=record.process_label,
            app_armor_profile=record.apparmor,
            mounts=mounts(container),
            config=record.config,
            network_settings=self._network_settings(container),
        )

    def _host_config(self, container: Container) -> HostConfig:
        """Links are kept by id, and shown by what the containers are called now."""
        if not container.record.links:
            return container.record.host_config
        return msgspec.structs.replace(container.record.host_config, links=self._links.shown(container))

    def summary(self, container: Container, image_name: str) -> ContainerSummary:
        record = container.record
        return ContainerSummary(
            id=record.id,
            names=[f"/{record.name}", *self._links.names_of(container)],
            image=image_name,
            image_id=record.image,
            command=_command_line(record.arguments),
            created=record.created // 1_000_000_000,
            ports=self._ports(container),
            labels=record.config.labels or {},
            state=record.state.status,
            status=status_line(container),
            host_config=SummaryHostConfig(
                network_mode=record.host_config.network_mode, annotations=record.host_config.annotations
            ),
            network_settings=SummaryNetworkSettings(networks=self._endpoints(container)),
            mounts=mounts(container),
            health=_health_summary(record.state.health),
        )

    def public_ports(self, container: Container) -> set[tuple[int, str]]:
        """The host's ports, with their protocols, that lead to it now."""
        ports = self._connectivity.ports(container) if container.running else ()
        return {(port.port, port.protocol) for port in ports if not port.routed}

    def networks(self, container: Container) -> dict[str, str]:
        """The networks that it is on, or is to be on when it starts: names and ids, "" for one that is not there."""
        return {name: endpoint.network_id for name, endpoint in self._endpoints(container).items()}

    def _network_settings(self, container: Container) -> NetworkSettings:
        networks = self._endpoints(container)
        made = NetworkSettings(networks=networks, ports=self._port_map(container))
        if container.running:
            made.sandbox_id = container.id
            made.sandbox_key = f"/proc/{container.pid}/ns/net"
        bridge = networks.get("bridge")
        if bridge is not None and bridge.ip_address:
            made.endpoint_id, made.gateway = bridge.endpoint_id, bridge.gateway
            made.ip_address, made.ip_prefix_len = bridge.ip_address, bridge.ip_prefix_len
            made.mac_address = bridge.mac_address
            made.global_ipv6_address = bridge.global_ipv6_address
            made.global_ipv6_prefix_len, made.ipv6_gateway = bridge.global_ipv6_prefix_len, bridge.ipv6_gateway
        return made

    def _endpoints(self, container: Container) -> dict[str, EndpointSettings]:
        """What was asked for on each network, and what it has there while it runs."""
        if network_mode(container).startswith("container:"):
            return {}
        held = {endpoint.network: endpoint for endpoint in self._connectivity.endpoints(container)}
        shown = {}
        for name, asked in wanted(container).items():
            called = (item for item in self._networks.all() if name in (item.name, item.id))
            network = next((item for item in called if may_join(item, asked)), None)
            endpoint = held.pop(network.id, None) if network else None
            made = endpoint_settings(asked, network.id if network else "", endpoint)
            if network is not None and network.driver in UNLINKED_DRIVERS and container.running:
                made.endpoint_id = unlinked_endpoint(container.id, network.id)
            if name not in DEFAULT_NETWORKS:
                made.dns_names = dns_names(container, asked.aliases or ())
            shown[network.name if network else name] = made
        for endpoint in held.values():
            shown[self._networks.get(endpoint.network).name] = endpoint_settings(
                EndpointSettings(), endpoint.network, endpoint
            )
        return shown

    def _port_map(self, container: Container) -> dict[str, list[PortBinding] | None]:
        if not container.running:
            return {}
        shown: dict[str, list[PortBinding] | None] = dict.fromkeys(self._exposed(container))
        for port in self._connectivity.ports(container):
            key = f"{port.container_port}/{port.protocol}"
            shown[key] = [*(shown.get(key) or []), _binding(port)]
        return shown

    def _exposed(self, container: Container) -> Iterable[str]:
        """None without a network of its own, as with Docker."""
        return (container.record.config.exposed_ports or {}) if self._connectivity.needed(container) else ()

    def _ports(self, container: Container) -> list[Port]:
        if not container.running:
            return []
        published = [
            Port(ip=port.address, private_port=port.container_port, public_port=port.port, type=port.protocol)
            for port in self._connectivity.ports(container)
            if not port.routed
        ]
        taken = {(port.private_port, port.type) for port in published}
        for key in self._exposed(container):
            number, _, protocol = key.partition("/")
            if (int(number), protocol or "tcp") not in taken:
                published.append(Port(private_port=int(number), type=protocol or "tcp"))
        return sorted(published, key=lambda port: (port.private_port, port.type, port.public_port, port.ip))


def _binding(port: PortRecord) -> PortBinding:
    """A port that is reached by routing has none of the host, as with Docker."""
    if port.routed:
        return PortBinding(host_ip="::" if ":" in port.address else "0.0.0.0", host_port="")
    return PortBinding(host_ip=port.address, host_port=str(port.port))


def endpoint_settings(asked: EndpointSettings, network_id: str, endpoint: EndpointRecord | None) -> EndpointSettings:
    """The settings as asked for, with what the endpoint got."""
    made = EndpointSettings(
        ipam_config=asked.ipam_config,
        links=asked.links,
        aliases=asked.aliases,
        driver_opts=asked.driver_opts,
        gw_priority=asked.gw_priority,
        mac_address=asked.mac_address,
        network_id=network_id,
    )
    if endpoint is not None:
        made.endpoint_id, made.mac_address = endpoint.id, endpoint.mac
        made.gateway, made.ip_address, made.ip_prefix_len = endpoint.gateway4, endpoint.address4, endpoint.prefix4
        made.ipv6_gateway, made.global_ipv6_address = endpoint.gateway6, endpoint.address6
        made.global_ipv6_prefix_len = endpoint.prefix6
    return made


def state(container: Container) -> ContainerState:
    """The state object of an inspection."""
    kept = container.record.state
    return ContainerState(
        status=kept.status,
        running=kept.status in ("running", "paused", "restarting"),
        paused=kept.status == "paused",
        restarting=kept.status == "restarting",
        oom_killed=kept.oom_killed,
        dead=kept.status == "dead",
        pid=container.pid if container.running else 0,
        exit_code=kept.exit_code,
        error=kept.error,
        started_at=_moment(kept.started_at),
        finished_at=_moment(kept.finished_at),
        health=kept.health,
    )


def mounts(container: Container) -> list[MountPoint]:
    """The mounts as an inspection shows them; those of --tmpfs are in the HostConfig, as with Docker."""
    return [
        MountPoint(
            type=mount.kind,
            name=mount.name,
            source=mount.source,
            destination=mount.destination,
            driver=mount.driver,
            mode=mount.mode,
            rw=mount.writable,
            propagation=mount.propagation,
        )
        for mount in container.record.mounts
        if mount.destination not in (container.record.host_config.tmpfs or {})
    ]


def status_line(container: Container) -> str:
    """Docker's words: ``Up 2 minutes (Paused)``, ``Exited (0) 3 seconds ago``."""
    kept = container.record.state
    if kept.status == "running":
        return f"Up {_ago(kept.started_at)}{_health_suffix(kept)}"
    if kept.status == "paused":
        return f"Up {_ago(kept.started_at)} (Paused)"
    if kept.status == "restarting":
        return f"Restarting ({kept.exit_code}) {_ago(kept.finished_at)} ago"
    if container.claim == "removal":
        return "Removal In Progress"
    if kept.status == "dead":
        return "Dead"
    return "Created" if _never_ran(kept) else f"Exited ({kept.exit_code}) {_ago(kept.finished_at)} ago"


def _health_summary(health: Health | None) -> HealthSummary:
    return HealthSummary(status=health.status, failing_streak=health.failing_streak) if health else HealthSummary()


def _health_suffix(kept: State) -> str:
    if kept.health is None:
        return ""
    return f" (health: {kept.health.status})" if kept.health.status == "starting" else f" ({kept.health.status})"


def _never_ran(kept: State) -> bool:
    return not kept.finished_at


def _ago(moment: int) -> str:
    return human_duration((time.time_ns() - moment) / 1e9)


def _moment(nanoseconds: int) -> str:
    return format_time(nanoseconds) if nanoseconds else ZERO_TIME


def _command_line(arguments: Iterable[str]) -> str:
    """As Docker lists it: arguments with white space in them are quoted."""
    return " ".join(f"'{item}'" if " " in item else item for item in arguments)
