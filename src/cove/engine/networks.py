"""The API's requests about networks: list, inspect, create, remove, connect, disconnect, prune."""

import os

from cove.engine.bundles import Bundles
from cove.engine.connectivity import endpoint_request, network_mode, wanted
from cove.engine.container import Container
from cove.engine.events import Events
from cove.engine.nameservice import NameService
from cove.engine.registry import Registry
from cove.engine.shims import Shim
from cove.errors import Conflict, CoveError, Forbidden, InvalidArgument, Unimplemented
from cove.filters import Filters
from cove.network import EndpointRecord, NetworkRecord, Pool
from cove.network import Networks as NetworkStore
from cove.units import format_time, parse_moment
from cove.wire.networks import (
    IPAM,
    EndpointResource,
    EndpointSettings,
    IPAMConfig,
    Network,
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworksPruned,
)

PREDEFINED = ("bridge", "default", "host", "none")


class Networks:
    """Shows and changes networks, and the endpoints of running containers."""

    def __init__(
        self, store: NetworkStore, registry: Registry, events: Events, names: NameService, bundles: Bundles
    ) -> None:
        self._store = store
        self._names = names
        self._bundles = bundles
        self._registry = registry
        self._events = events

    async def list(self, filters: Filters) -> list[Network]:
        filters.check(("driver", "id", "label", "name", "scope", "type", "dangling"))
        return [self._shown(record) for record in self._store.all() if self._fits(record, filters)]

    def _fits(self, record: NetworkRecord, filters: Filters) -> bool:
        dangling = filters.boolean("dangling")
        return (
            filters.one_of("driver", record.driver)
            and filters.prefix_of("id", record.id)
            and filters.part_of("name", record.name)
            and filters.labels(record.labels)
            and filters.one_of("scope", "local")
            and filters.one_of("type", "builtin" if record.predefined else "custom")
            and (dangling is None or dangling == self._unused(record))
        )

    async def inspect(self, ref: str, *, verbose: bool, scope: str) -> Network:
        record = self._store.get(ref)
        shown = self._shown(record)
        for endpoint in self._store.endpoints_on(record.id):
            if endpoint.container in self._registry:
                shown.containers[endpoint.container] = self._resource(endpoint)
        return shown

    def _resource(self, endpoint: EndpointRecord) -> EndpointResource:
        return EndpointResource(
            name=self._registry.get(endpoint.container).name,
            endpoint_id=endpoint.id,
            mac_address=endpoint.mac,
            ipv4_address=f"{endpoint.address4}/{endpoint.prefix4}" if endpoint.address4 else "",
            ipv6_address=f"{endpoint.address6}/{endpoint.prefix6}" if endpoint.address6 else "",
        )

    def _shown(self, record: NetworkRecord) -> Network:
        pools = [
            IPAMConfig(
                subnet=pool.subnet,
                ip_range=pool.range,
                gateway=pool.gateway,
                auxiliary_addresses=dict(pool.auxiliary) or None,
            )
            for pool in record.pools
        ]
        return Network(
            name=record.name,
            id=record.id,
            created=format_time(record.created),
            driver=record.driver,
            enable_ipv6=record.ipv6,
            ipam=IPAM(config=pools),
            internal=record.internal,
            attachable=record.attachable,
            options=dict(record.options),
            labels=dict(record.labels),
        )

    async def create(self, request: NetworkCreate) -> NetworkCreated:
        if not request.name:
            raise InvalidArgument("invalid network name: it must not be empty")
        if request.name in PREDEFINED:
            raise Forbidden(f"operation is not permitted on predefined {request.name} network")
        if request.config_only or request.config_from or request.ingress:
            raise Unimplemented("config-only and ingress networks are not supported")
        config = (request.ipam.config if request.ipam else None) or []
        record = await self._store.create(
            request.name,
            driver=request.driver or "bridge",
            pools=[Pool(item.subnet, item.gateway, item.ip_range, item.auxiliary_addresses or {}) for item in config],
            options=request.options,
            labels=request.labels,
            internal=request.internal,
            attachable=request.attachable,
            ipv6=bool(request.enable_ipv6),
        )
        self._publish(record, "create")
        return NetworkCreated(id=record.id)

    async def remove(self, ref: str) -> None:
        record = self._store.get(ref)
        await self._store.remove(record.id)
        self._publish(record, "destroy")

    async def connect(self, ref: str, request: NetworkConnect) -> None:
        record, container = self._store.get(ref), self._registry.get(request.container)
        _refuse_modes(container)
        if record.name == "host":
            raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
        settings = request.endpoint_config or EndpointSettings()
        async with self._registry.locked(container):
            if record.name in wanted(container) or record.id in wanted(container):
                raise Forbidden(f"endpoint with name {container.name} already exists in network {record.name}")
            if container.running:
                await self._attach(record, container, settings)
            endpoints = container.record.networking.endpoints_config or {}
            container.record.networking.endpoints_config = {**endpoints, record.name: settings}
            await self._registry.save(container)
            await self._tell(container)
        self._publish(record, "connect", {"container": container.id})

    async def _attach(self, record: NetworkRecord, container: Container, settings: EndpointSettings) -> None:
        shim = container.require_shim()
        endpoint = await self._store.connect(container.id, endpoint_request(record.name, settings))
        try:
            await self._link(endpoint, container, shim)
        except BaseException as error:
            await self._store.disconnect(container.id, record.id)
            if isinstance(error, OSError):  # it has just ended, or the kernel refuses
                raise Conflict(f"cannot connect container {container.id} to {record.name}: {error}") from error
            raise

    async def _link(self, endpoint: EndpointRecord, container: Container, shim: Shim) -> None:
        namespace = os.open(f"/proc/{container.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            interface = await self._store.attach(endpoint, namespace)
        finally:
            os.close(namespace)
        if interface is not None:
            await shim.add_interfaces(
                [
                    {
                        "name": interface.name,
                        "addresses": list(interface.addresses),
                        "gateway4": interface.gateway4,
                        "gateway6": interface.gateway6,
                    }
                ]
            )

    async def disconnect(self, ref: str, request: NetworkDisconnect) -> None:
        record, container = self._store.get(ref), self._registry.get(request.container)
        _refuse_modes(container)
        async with self._registry.locked(container):
            asked = wanted(container)
            if record.name not in asked and record.id not in asked:
                raise Forbidden(f"container {container.id} is not connected to network {record.name}")
            if container.running:
                await self._store.disconnect(container.id, record.id)
            endpoints = dict(container.record.networking.endpoints_config or {})
            endpoints.pop(record.name, None)
            endpoints.pop(record.id, None)
            if network_mode(container) in (record.name, record.id):
                container.record.host_config.network_mode = next(iter(endpoints), "none")
            container.record.networking.endpoints_config = endpoints
            await self._registry.save(container)
            await self._tell(container)
        self._publish(record, "disconnect", {"container": container.id})

    async def _tell(self, container: Container) -> None:
        """A running container learns of its new networks: its names, and its files of /etc."""
        if container.running:
            await self._names.change(container)
            self._bundles.write_resolv_conf(container)
            self._bundles.write_hosts(container)

    async def prune(self, filters: Filters) -> NetworksPruned:
        filters.check(("until", "label", "label!"))
        until = filters.single("until")
        moment = parse_moment(until) if until else None
        removed = []
        for record in self._store.all():
            fits = filters.labels(record.labels) and filters.without_labels(record.labels)
            young = moment is not None and record.created >= moment
            if not record.predefined and self._unused(record) and fits and not young:
                try:
                    await self.remove(record.id)
                except CoveError:
                    continue
                removed.append(record.name)
        self._events.publish("network", "prune", "", {"reclaimed": "0"})
        return NetworksPruned(networks_deleted=removed or None)

    def _unused(self, record: NetworkRecord) -> bool:
        """No container is on it, or is to be on it when it starts."""
        return not any(
            record.name in wanted(container) or record.id in wanted(container) for container in self._registry
        )

    def _publish(self, record: NetworkRecord, action: str, extra: dict[str, str] | None = None) -> None:
        attributes = {"name": record.name, "type": record.driver}
        self._events.publish("network", action, record.id, attributes | (extra or {}))


def _refuse_modes(container: Container) -> None:
    mode = network_mode(container)
    if mode == "host":
        raise Conflict("container cannot be disconnected from host network or connected to another network")
    if mode.startswith("container:"):
        raise Conflict(
            "container sharing network namespace with another container or host cannot be connected to any other "
            "network"
        )
