"""The API's requests about networks: list, inspect, create, remove, connect, disconnect, prune."""

import secrets
from collections.abc import Sequence

from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.networking.connectivity import UNLINKED_DRIVERS, network_mode, unlinked_endpoint
from cove.engine.networking.memberships import Memberships
from cove.engine.networking.nameservice import NameService
from cove.errors import CoveError, Forbidden, InvalidArgument, NotFound, Unimplemented
from cove.filters import Filters
from cove.network import EndpointRecord, NetworkRecord, Pool
from cove.network import Networks as NetworkStore
from cove.units import format_time, parse_moment
from cove.wire.networks import (
    IPAM,
    ConfigReference,
    EndpointResource,
    IPAMConfig,
    IPAMStatus,
    Network,
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworksPruned,
    NetworkStatus,
    SubnetStatus,
)

LARGEST_COUNT = (1 << 64) - 1
"""Where counts of addresses end, by the API."""

PREDEFINED = ("bridge", "default", "host", "none")


class Networks:
    """Shows and changes networks, and the endpoints of running containers."""

    def __init__(
        self, store: NetworkStore, registry: Registry, events: Events, memberships: Memberships, names: NameService
    ) -> None:
        self._store = store
        self._registry = registry
        self._events = events
        self._memberships = memberships
        self._names = names

    async def list(self, filters: Filters) -> list[Network]:
        filters.check(("driver", "id", "label", "name", "scope", "type", "dangling"))
        if "type" in filters and (strange := set(filters["type"]) - {"builtin", "custom"}):
            raise InvalidArgument(f"invalid filter: 'type'='{min(strange)}'")
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
        if scope not in ("", "local"):
            raise NotFound(f"network {ref} not found")
        shown = self._shown(record)
        shown.containers = self._members(record)
        if not record.config_only:
            shown.status = self._status(record)
        return shown

    def _status(self, record: NetworkRecord) -> NetworkStatus:
        pools = self._store.address_pools(record.id)
        subnets = {
            str(pool.subnet): SubnetStatus(
                ips_in_use=min(pool.in_use, LARGEST_COUNT), dynamic_ips_available=min(pool.available, LARGEST_COUNT)
            )
            for pool in pools
        }
        return NetworkStatus(ipam=IPAMStatus(subnets=subnets))

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
            enable_ipv4=record.ipv4,
            enable_ipv6=record.ipv6,
            ipam=IPAM(driver=record.ipam_driver, options=dict(record.ipam_options), config=pools),
            config_from=ConfigReference(network=record.config_from),
            config_only=record.config_only,
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
        _refuse_operators_fields(request)
        _refuse_swarm(request)
        record = await self._store.create(_record(request))
        if not record.config_only:
            self._names.warm()  # containers are about to come
        self._publish(record, "create")
        return NetworkCreated(id=record.id)

    async def remove(self, ref: str) -> None:
        record = self._store.get(ref)
        await self._store.remove(record.id)
        self._publish(record, "destroy")

    async def connect(self, ref: str, request: NetworkConnect) -> None:
        await self._memberships.connect(ref, request)

    async def disconnect(self, ref: str, request: NetworkDisconnect) -> None:
        await self._memberships.disconnect(ref, request)

    def prunable(self, filters: Filters) -> Sequence[NetworkRecord]:
        """The networks of users' that no container is on. Raises InvalidArgument for a filter that there is not."""
        filters.check(("until", "label", "label!"))
        until = filters.single("until")
        moment = parse_moment(until) if until else None
        found = []
        for record in self._store.all():
            fits = filters.labels(record.labels) and filters.without_labels(record.labels)
            young = moment is not None and record.created >= moment
            if not record.predefined and self._unused(record) and fits and not young:
                found.append(record)
        return found

    async def prune(self, filters: Filters) -> NetworksPruned:
        removed = []
        for record in self.prunable(filters):
            try:
                await self.remove(record.id)
            except CoveError:
                continue
            removed.append(record.name)
        self._events.publish("network", "prune", "", {"reclaimed": "0"})
        return NetworksPruned(networks_deleted=removed or None)

    def _unused(self, record: NetworkRecord) -> bool:
        """No container is on it now; as with Docker, one that is to be on it when it starts does not count."""
        return not self._members(record)

    def _members(self, record: NetworkRecord) -> dict[str, EndpointResource]:
        """The containers on a network by id; on ``host`` and ``none`` those that run in these modes."""
        if record.driver in UNLINKED_DRIVERS:
            return {
                container.id: EndpointResource(
                    name=container.name, endpoint_id=unlinked_endpoint(container.id, record.id)
                )
                for container in self._registry
                if container.running and network_mode(container) == record.name
            }
        return {
            endpoint.container: self._resource(endpoint)
            for endpoint in self._store.endpoints_on(record.id)
            if endpoint.container in self._registry
        }

    def _publish(self, record: NetworkRecord, action: str, extra: dict[str, str] | None = None) -> None:
        attributes = {"name": record.name, "type": record.driver}
        self._events.publish("network", action, record.id, attributes | (extra or {}))


def _refuse_swarm(request: NetworkCreate) -> None:
    """Raises, in Docker's words, for what only a cluster has."""
    if request.ingress or request.scope == "swarm" or request.driver == "overlay":
        raise Forbidden(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
            "to swarm and try again."
        )
    if request.scope not in ("", "local"):
        raise InvalidArgument(f"invalid scope {request.scope!r}: it must be local or swarm")


def _refuse_operators_fields(request: NetworkCreate) -> None:
    """Raises Forbidden, in Docker's words, for what a configuration network cannot hand on."""
    if request.config_only and (request.ingress or request.internal or request.attachable or request.scope):
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )


def _record(request: NetworkCreate) -> NetworkRecord:
    """What is asked for, before anything of it is chosen. Raises InvalidArgument, NotFound."""
    ipam = request.ipam
    if ipam is not None and ipam.driver not in ("", "default"):
        if ipam.driver == "null":
            raise Unimplemented("networks without addresses (IPAM driver null) are not supported")
        raise NotFound(f'error resolving IPAM plugin {ipam.driver}: plugin "{ipam.driver}" not found')
    return NetworkRecord(
        secrets.token_hex(32),
        request.name,
        request.driver or "bridge",
        pools=tuple(
            Pool(item.subnet, item.gateway, item.ip_range, item.auxiliary_addresses or {})
            for item in (ipam.config if ipam else None) or []
        ),
        options=request.options or {},
        labels=request.labels or {},
        internal=request.internal,
        attachable=request.attachable,
        ipv4=request.enable_ipv4 is not False,
        ipv6=bool(request.enable_ipv6),
        ipam_options=(ipam.options if ipam else None) or {},
        config_only=request.config_only,
        config_from=request.config_from.network if request.config_from else "",
    )
