"""Holds the requests of a scoped socket to its scope.

Three places ask it: before a route is taken (``admit``), when filters are read (``narrow``), and when a body has been
decoded (``inspect``), so that what is judged is what the engine will see. With labels, a route that is not known here
is refused: a new one cannot be a hole.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cove.errors import Forbidden, NotFound
from cove.filters import Filters
from cove.server.scope import BIND, EXEC, HOST, PRIVILEGED, Scope
from cove.wire.containers import ContainerCreate, ContainerUpdate
from cove.wire.execs import ExecCreate
from cove.wire.host_config import HostConfig
from cove.wire.networks import NetworkConnect, NetworkCreate, NetworkDisconnect
from cove.wire.volumes import VolumeCreate

Labels = Mapping[str, str]

_ANYBODYS = frozenset(("_ping", "version", "info", "auth", "distribution"))
_NARROWED = frozenset((
    "GET /containers/json", "POST /containers/prune", "GET /volumes", "POST /volumes/prune", "GET /networks",
    "POST /networks/prune", "GET /events",
))  # fmt: skip
_MAKING = frozenset(("POST /containers/create", "POST /volumes/create", "POST /networks/create"))
_IMAGES = frozenset((
    "GET /images/json", "GET /images/search", "GET /images/{name*}/json", "GET /images/{name*}/history",
    "POST /images/create", "GET /images/{name*}/attestations",
))  # fmt: skip
_EXECUTING = frozenset(("POST /containers/{id}/exec", "POST /exec/{id}/start", "POST /exec/{id}/resize"))
_HARMLESS = frozenset(("no-new-privileges", "no-new-privileges=true", "seccomp=builtin"))
"""Security options that make nothing weaker. Of others, a client's profile too, nobody here can say that."""

_OWN_BRIDGE = "com.docker.network.bridge.name"
"""An option of a network that takes over a link of the host."""


class Members(Protocol):
    """Labels of what there is, by a name or id as a request gives it; each raises NotFound in Docker's words."""

    def container(self, reference: str) -> Labels: ...

    def of_exec(self, exec_id: str) -> Labels: ...

    def volume(self, name: str) -> Labels: ...

    def network(self, reference: str) -> Labels: ...


class Guard:
    """One for each scoped socket."""

    def __init__(self, name: str, scope: Scope, members: Members) -> None:
        self.name = name
        self._scope = scope
        self._members = members

    def admit(self, method: str, path: str, pattern: str, variables: Mapping[str, str], query: "Query") -> None:
        """Raises Forbidden for what this socket does not do, NotFound for what is not one of its objects."""
        if not self._scope.allows(method, path):
            raise Forbidden(f"{method} {path}: not allowed on the socket {self.name}")
        route = f"{method} {pattern}"
        if route in _EXECUTING:
            self._refuse(EXEC, "exec")
        if self._scope.labels:
            self._admit_object(route, variables, query)

    def narrow(self, filters: Filters) -> Filters:
        """The filters, with this scope's labels among them."""
        if not self._scope.labels:
            return filters
        wanted = [f"{name}={value}" for name, value in self._scope.labels.items()]
        return Filters({**filters, "label": [*filters.get("label", ()), *wanted]})

    def inspect(self, body: Any) -> None:
        """Judge a decoded body, and give what it makes this scope's labels. Raises Forbidden, NotFound."""
        match body:
            case ContainerCreate():
                self._inspect_container(body)
            case ContainerUpdate():
                self._inspect_mounts(HostConfig(mounts=body.mount_add))
            case ExecCreate():
                if body.privileged:
                    self._refuse(PRIVILEGED, "Privileged")
            case VolumeCreate():
                if body.driver_opts:
                    self._refuse(BIND, "DriverOpts")
                body.labels = {**(body.labels or {}), **self._scope.labels}
            case NetworkCreate():
                if body.driver not in ("", "bridge") or _OWN_BRIDGE in (body.options or {}):
                    self._refuse(HOST, "a network on a link of the host")
                body.labels = {**(body.labels or {}), **self._scope.labels}
            case NetworkConnect() | NetworkDisconnect():
                self._own(self._members.container, body.container, "No such container: {}")
            case _:
                pass

    def _admit_object(self, route: str, variables: Mapping[str, str], query: "Query") -> None:
        group = route.split("/")[1]
        if group in _ANYBODYS or route in _NARROWED or route in _MAKING or route in _IMAGES:
            return
        if route == "POST /commit":
            self._own(self._members.container, query("container"), "No such container: {}")
        elif "/containers/{id" in route:
            self._own(self._members.container, variables["id"], "No such container: {}")
        elif "/exec/{id}" in route:
            self._own(self._members.of_exec, variables["id"], "No such exec instance: {}")
        elif "/volumes/{name}" in route:
            self._own(self._members.volume, variables["name"], "get {}: no such volume")
        elif "/networks/{id}" in route:
            self._own(self._members.network, variables["id"], "network {} not found")
        elif route.startswith("GET ") and variables:
            raise NotFound(f"No such object: {next(iter(variables.values()))}")
        else:
            raise Forbidden(f"{route}: not on the socket {self.name}, which is for objects with labels")

    def _own(self, labels_of: Callable[[str], Labels], reference: str, missing: str) -> None:
        """Somebody else's object is not there: its existence is not told either."""
        if self._scope.labels and not self._scope.owns(labels_of(reference)):
            raise NotFound(missing.format(reference))

    def _inspect_container(self, body: ContainerCreate) -> None:
        host = body.host_config
        for field, value in _weakening(host):
            if value:
                self._refuse(PRIVILEGED, f"HostConfig.{field}")
        for field, value in _of_host(host):
            if value == "host":
                self._refuse(HOST, f"HostConfig.{field}")
        self._inspect_mounts(host)
        self._inspect_relations(body)
        body.labels = {**(body.labels or {}), **self._scope.labels}

    def _inspect_mounts(self, host: HostConfig) -> None:
        for source in _sources(host):
            if source.startswith("/"):
                self._refuse(BIND, f"a mount of {source}")
            elif source:
                self._own(self._members.volume, source, "get {}: no such volume")
        if any(mount.volume_options and mount.volume_options.driver_config for mount in host.mounts or []):
            self._refuse(BIND, "HostConfig.Mounts: VolumeOptions.DriverConfig")

    def _inspect_relations(self, body: ContainerCreate) -> None:
        """Other containers and networks that it takes part in must be of this scope."""
        host = body.host_config
        others = [reference.partition(":")[0] for reference in host.volumes_from or []]
        others += [link.partition(":")[0] for link in host.links or []]
        modes = (host.network_mode, host.pid_mode, host.ipc_mode)
        others += [mode.partition(":")[2] for mode in modes if mode.startswith("container:")]
        for reference in others:
            self._own(self._members.container, reference, "No such container: {}")
        networks = {host.network_mode, *(body.networking_config.endpoints_config or {})}
        for name in networks - {"", "default", "bridge", "none", "host"}:
            if not name.startswith("container:"):
                self._own(self._members.network, name, "network {} not found")

    def _refuse(self, word: str, what: str) -> None:
        if word in self._scope.deny:
            raise Forbidden(f"{what}: {word} is denied on the socket {self.name}")


Query = Callable[[str], str]


def _weakening(host: HostConfig) -> list[tuple[str, Any]]:
    options = [option.replace(":", "=", 1) for option in host.security_opt or []]
    return [
        ("Privileged", host.privileged),
        ("CapAdd", host.cap_add),
        ("Devices", host.devices),
        ("DeviceRequests", host.device_requests),
        ("DeviceCgroupRules", host.device_cgroup_rules),
        ("SecurityOpt", set(options) - _HARMLESS),
        ("MaskedPaths", host.masked_paths == []),
        ("ReadonlyPaths", host.readonly_paths == []),
        ("CgroupParent", host.cgroup_parent),
        ("Sysctls", host.sysctls),
        ("Runtime", host.runtime not in ("", "cove", "runc")),
        ("LogConfig", host.log_config.type not in ("", "json-file", "local", "none")),
    ]


def _of_host(host: HostConfig) -> list[tuple[str, str]]:
    return [
        ("NetworkMode", host.network_mode),
        ("PidMode", host.pid_mode),
        ("IpcMode", host.ipc_mode),
        ("UTSMode", host.uts_mode),
        ("UsernsMode", host.userns_mode),
        ("CgroupnsMode", host.cgroupns_mode),
    ]


def _sources(host: HostConfig) -> list[str]:
    """Paths of the host and names of volumes that are mounted; anonymous volumes have neither."""
    binds = [bind.partition(":")[0] for bind in host.binds or [] if ":" in bind]
    mounts = [mount.source for mount in host.mounts or [] if mount.type in ("bind", "volume", "npipe", "")]
    return [source for source in [*binds, *mounts] if source]
