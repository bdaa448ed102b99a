"""The files of /etc that say how things are called, written for each start and changed while a container runs."""

from collections.abc import Sequence
from contextlib import suppress

from cove.engine.containers.container import Container
from cove.engine.networking import etcfiles
from cove.engine.networking.connectivity import Connectivity, network_mode
from cove.engine.networking.etcfiles import HOST_GATEWAY, Wishes
from cove.engine.networking.links import Links
from cove.engine.networking.sandboxes import uses_resolver


class NameFiles:
    """``dns``: the daemon's settings. ``host_gateways``: what ``host-gateway`` stands for, if not the bridge."""

    def __init__(
        self, connectivity: Connectivity, links: Links, dns: Wishes, host_gateways: Sequence[str] = ()
    ) -> None:
        self._connectivity = connectivity
        self.links = links
        self._dns = dns
        self._host_gateways = host_gateways

    def write(self, container: Container) -> None:
        """All three, for a start. The addresses follow with ``write_hosts``, when there are any."""
        container.paths.hostname.write_text(f"{container.record.config.hostname}\n")
        self.write_resolv_conf(container)
        self.write_hosts(container)

    def started(self, container: Container) -> None:
        """It has addresses now: they are told to itself, and to those who link to it."""
        self.write_hosts(container)
        for user in self.links.users(container):
            if user.running:
                self.change_hosts(user)

    def change_resolv_conf(self, container: Container) -> None:
        """/etc/resolv.conf of a running container, unless somebody has edited it."""
        with suppress(FileNotFoundError):  # it is being removed
            if etcfiles.written_by_us(container.paths.resolv_conf.read_text(errors="replace")):
                self.write_resolv_conf(container)

    def write_resolv_conf(self, container: Container) -> None:
        """/etc/resolv.conf of a start, in place, because it is mounted."""
        host, mine = container.record.host_config, self._dns
        wishes = Wishes(host.dns or mine.servers, host.dns_search or mine.search, host.dns_options or mine.options)
        resolver, own_loopback = uses_resolver(container), network_mode(container) != "host"
        text = etcfiles.resolv_conf(
            etcfiles.host_resolv_conf(reachable=own_loopback and not resolver),
            wishes,
            own_loopback=own_loopback,
            resolver=resolver,
        )
        container.paths.resolv_conf.write_text(text)

    def write_hosts(self, container: Container) -> None:
        """/etc/hosts of a start."""
        extra = self._extra(container)
        base = etcfiles.host_hosts() if network_mode(container) == "host" and not extra else None  # as Docker has it
        entries = [*extra, *self.links.hosts(container), *self._own(container)]
        container.paths.hosts.write_text(etcfiles.hosts(entries, base))

    def change_hosts(self, container: Container) -> None:
        """/etc/hosts of a running container: the lines about itself and its links; what else is there stays."""
        entries = [*self.links.hosts(container), *self._own(container)]
        path = container.paths.hosts
        try:
            text = path.read_text(errors="surrogateescape")
        except FileNotFoundError:  # it is being removed
            return
        fresh = etcfiles.changed_hosts(text, entries, {names for _address, names in entries} | {self._names(container)})
        if fresh != text:
            path.write_text(fresh, errors="surrogateescape")

    def _own(self, container: Container) -> list[tuple[str, str]]:
        names = self._names(container)
        return [(address, names) for address in self._connectivity.addresses(container)]

    def _names(self, container: Container) -> str:
        config = container.record.config
        name = config.hostname or container.id[:12]
        return f"{name}.{config.domainname} {name}" if config.domainname else name

    def _extra(self, container: Container) -> list[tuple[str, str]]:
        found = []
        for entry in container.record.host_config.extra_hosts or []:
            name, _, address = entry.partition(":")
            given = self._gateways() if address == HOST_GATEWAY else [address.strip("[]")]
            found += [(each, name) for each in given]
        return found

    def _gateways(self) -> Sequence[str]:
        return self._host_gateways or self._connectivity.host_gateways()
