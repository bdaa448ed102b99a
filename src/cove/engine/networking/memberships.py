"""Containers join networks and leave them, in every state. What a running one is on is changed in its namespace too."""

import asyncio
import logging
import os

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.networking.connectivity import Connectivity, endpoint_request, network_mode, port_requests, wanted
from cove.engine.networking.namefiles import NameFiles
from cove.engine.networking.nameservice import NameService
from cove.errors import Conflict, CoveError, Forbidden, InvalidArgument, NotFound
from cove.network import EndpointRecord, Interface, NetworkRecord, Networks, Restored
from cove.wire.networks import EndpointSettings, NetworkConnect, NetworkDisconnect

log = logging.getLogger(__name__)

USER_DEFINED_NOT = ("bridge", "host", "none")


class Memberships:
    """``connect`` and ``disconnect``. The container's record changes in the commit that settles its endpoint."""

    def __init__(
        self,
        *,
        networks: Networks,
        registry: Registry,
        connectivity: Connectivity,
        events: Events,
        names: NameService,
        files: NameFiles,
    ) -> None:
        self._names = names
        self._files = files
        self._networks = networks
        self._registry = registry
        self._connectivity = connectivity
        self._events = events

    async def connect(self, ref: str, request: NetworkConnect) -> None:
        """Put a container on a network. Raises NotFound, InvalidArgument, Forbidden, Conflict in Docker's words."""
        container, network = self._registry.get(request.container), self._networks.get(ref)
        settings = request.endpoint_config or EndpointSettings()
        while (ended := await self._connect(network, container, settings)) is not None:
            await asyncio.shield(ended)  # a restart goes on to the next run, which it joins
            network = self._networks.get(network.id)
        self._publish(network, "connect", container)

    async def _connect(
        self, network: NetworkRecord, container: Container, settings: EndpointSettings
    ) -> asyncio.Future[int] | None:
        """The end of the run when that has come before it was joined, and nothing has changed; else None."""
        async with self._registry.locked(container):
            ended = container.ended
            _refuse_connection(network, container, settings)
            if container.record.host_config.egress:
                self._networks.policing.check([network.name])
            endpoint = None
            if container.running:
                try:
                    endpoint = await self._join(network, container, settings)
                except Conflict:
                    if _has_namespace(container):
                        raise
                    return ended
            else:
                self._networks.check(container.id, container.name, endpoint_request(network.name, settings))
            _rewrite(container, {**_given(container), network.name: settings})
            if endpoint is None:
                await self._registry.save(container)
            else:
                await self._settle(endpoint, network, container)
            await self._tell(container)
        return None

    async def _join(self, network: NetworkRecord, container: Container, settings: EndpointSettings) -> EndpointRecord:
        """The endpoint of a running container, its link up and its routes in place, but still pending."""
        wish = endpoint_request(network.name, settings)
        endpoint = await self._networks.join(container.id, container.name, wish)
        try:
            if container.record.host_config.egress:
                await self._connectivity.police(container)
            interface = await self._attach(endpoint, container)
            await self._connectivity.apply(container, Restored(interfaces=(interface,) if interface else ()))
        except BaseException as error:
            await self._undo(endpoint, container)
            if isinstance(error, OSError):
                raise Conflict(f"cannot connect container {container.id} to {network.name}: {error}") from error
            raise
        return endpoint

    async def _attach(self, endpoint: EndpointRecord, container: Container) -> Interface | None:
        namespace = _open_namespace(container)
        try:
            return await self._networks.attach(endpoint, namespace, routes=False)
        finally:
            os.close(namespace)

    async def _settle(self, endpoint: EndpointRecord, network: NetworkRecord, container: Container) -> None:
        try:
            await self._networks.joined(
                endpoint, container.name, port_requests(container), self._registry.saving(container)
            )
        except BaseException:
            kept = _given(container)
            kept.pop(network.name, None)
            _rewrite(container, kept)
            self._registry.note(container)
            await self._undo(endpoint, container)
            raise

    async def _undo(self, endpoint: EndpointRecord, container: Container) -> None:
        await self._networks.detach(endpoint)
        await self._networks.left(endpoint, container.name)
        await self._withdraw(endpoint, container)

    async def disconnect(self, ref: str, request: NetworkDisconnect) -> None:
        """Take a container from a network, which may be gone already if it is forced or the container does not run.

        Raises as ``connect``.
        """
        container = self._member(ref, request)
        try:
            network = self._networks.get(ref)
        except NotFound:
            if container.running and not request.force:
                raise
            await self._drop(container, ref, ref)
            return
        if network_mode(container) == "host" and network.name == "host":
            raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
        await self._drop(container, network.name, network.id)
        self._publish(network, "disconnect", container)

    def _member(self, ref: str, request: NetworkDisconnect) -> Container:
        try:
            return self._registry.get(request.container)
        except NotFound:
            self._networks.get(ref)
            if request.force:
                raise NotFound(f"endpoint {request.container} not found") from None
            raise

    async def _drop(self, container: Container, name: str, identity: str) -> None:
        async with self._registry.locked(container):
            kept = {known: asked for known, asked in _given(container).items() if known not in (name, identity)}
            if len(kept) == len(_given(container)):
                raise Forbidden(f"container {container.id} is not connected to network {name}")
            before = _given(container)
            _rewrite(container, kept)
            try:
                if container.running and name != "none":
                    await self._leave(container, identity)
                else:
                    await self._registry.save(container)
            except BaseException:
                _rewrite(container, before)
                raise
            await self._tell(container)

    async def _tell(self, container: Container) -> None:
        """A running container learns of its new networks: its names, and its files of /etc."""
        if container.running:
            await self._names.change(container)
            self._files.change_resolv_conf(container)
            self._files.change_hosts(container)

    async def _leave(self, container: Container, reference: str) -> None:
        endpoint = await self._networks.leave(container.id, reference, self._registry.saving(container))
        await self._networks.detach(endpoint)
        await self._withdraw(endpoint, container, without=endpoint)
        await self._let_go(endpoint, container)
        await self._networks.left(endpoint, container.name, port_requests(container))

    async def _let_go(self, endpoint: EndpointRecord, container: Container) -> None:
        """Take its addresses out of the container's egress policy, before they are somebody else's."""
        if not container.record.host_config.egress:
            return
        try:
            await self._connectivity.police(container, without=endpoint)
        except CoveError as error:  # whoever has the address next is held to a policy that is not theirs
            log.error("container %s: %s", container.id[:12], error)

    async def _withdraw(
        self, endpoint: EndpointRecord, container: Container, without: EndpointRecord | None = None
    ) -> None:
        """Take a link out of a container, and lead its routes elsewhere; one that has just ended needs neither."""
        routes = self._connectivity.routes(container, without=without)
        removed = [endpoint.interface] if endpoint.interface else []
        try:
            await container.require_shim().configure_network([], removed, routes)
        except CoveError as error:
            log.info("container %s: %s", container.id[:12], error)

    def _publish(self, network: NetworkRecord, action: str, container: Container) -> None:
        attributes = {"name": network.name, "type": network.driver, "container": container.id}
        self._events.publish("network", action, network.id, attributes)


def _open_namespace(container: Container) -> int:
    """A descriptor of its network namespace. Raises OSError when its first process has ended."""
    return os.open(f"/proc/{container.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _has_namespace(container: Container) -> bool:
    """Whether its first process is there; the daemon may yet have to hear of its end."""
    try:
        os.close(_open_namespace(container))
    except OSError:
        return False
    return True


def _given(container: Container) -> dict[str, EndpointSettings | None]:
    return dict(container.record.networking.endpoints_config or {})


def _rewrite(container: Container, endpoints: dict[str, EndpointSettings | None]) -> None:
    container.record.networking.endpoints_config = endpoints


def _refuse_connection(network: NetworkRecord, container: Container, settings: EndpointSettings) -> None:
    mode = network_mode(container)
    if mode == "host" or mode.startswith("container:"):
        raise Conflict(
            "container sharing network namespace with another container or host cannot be connected to any other "
            "network"
        )
    if network.name == "host":
        raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
    members = wanted(container)
    if network.name in members or network.id in members:
        raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
    asked = settings.ipam_config
    if asked and (asked.ipv4_address or asked.ipv6_address) and network.predefined:
        raise InvalidArgument("user specified IP address is supported on user defined networks only")
    if members and (network.name == "none" or "none" in members):
        raise InvalidArgument(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if settings.aliases and network.name in USER_DEFINED_NOT:
        raise InvalidArgument("network-scoped alias is supported only for containers in user defined networks")
