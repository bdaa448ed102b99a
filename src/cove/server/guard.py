"""Holds the requests of a scoped socket to its scope.

Three places ask it: before a route is taken (``admit``), when filters are read (``narrow``), and when a body has been
decoded (``inspect``), so that what is judged is what the engine will see. With labels, a route that is not known here
is refused: a new one cannot be a hole.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from cove.errors import Forbidden, InvalidArgument, NotFound
from cove.filters import Filters
from cove.server.scope import BIND, EXEC, HOST, PRIVILEGED, Scope
from cove.wire.containers import ContainerCreate, ContainerUpdate
from cove.wire.execs import ExecCreate
from cove.wire.host_config import HostConfig
from cove.wire.networks import EndpointSettings, NetworkConnect, NetworkCreate, NetworkDisconnect
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

_ENTITLED = {"network.host": HOST, "security.insecure": PRIVILEGED, "device": PRIVILEGED}
"""What steps of a build may be allowed."""

_LIKE_AN_ID = re.compile("[0-9a-f]{1,64}")
"""Others who mean the network whose id begins so would mean a network of such a name instead."""

_OWN_BRIDGE = "com.docker.network.bridge.name"
"""An option of a network that takes over a link of the host."""


class Members(Protocol):
    """What there is. A method that gives a pair takes a name or id as a request has it.

    The pair is what means the object whatever is renamed, and its labels. Those raise NotFound in Docker's words.
    """

    def container(self, reference: str) -> tuple[str, Labels]: ...

    def of_exec(self, exec_id: str) -> tuple[str, Labels]: ...

    def volume(self, name: str) -> tuple[str, Labels]: ...

    def network(self, reference: str) -> tuple[str, Labels]: ...

    def image(self, name: str) -> tuple[str, Labels]: ...

    def awaiting(self, network: str) -> Iterable[Labels]:
        """The labels of each container that is to be on the network of this name, which may not be there."""


class Query(Protocol):
    """The parameters of a request: the first value of one, and all of one that may be given often."""

    def text(self, name: str) -> str: ...

    def texts(self, name: str) -> Sequence[str]: ...

    def settle(self, name: str, value: str) -> None:
        """Whoever asks for it later is given this value."""


class Guard:
    """One for each scoped socket."""

    def __init__(self, name: str, scope: Scope, members: Members) -> None:
        self.name = name
        self._scope = scope
        self._members = members

    def admit(self, method: str, path: str, pattern: str, variables: Mapping[str, str], query: Query) -> dict[str, str]:
        """The variables of the path, with ids in place of names: a body may be long in coming, and names change hands.

        Raises Forbidden for what this socket does not do, NotFound for what is not one of its objects.
        """
        if not self._scope.allows(method, path):
            raise Forbidden(f"{method} {path}: not allowed on the socket {self.name}")
        route = f"{method} {pattern}"
        if route in _EXECUTING:
            self._refuse(EXEC, "exec")
        if route == "POST /build":
            self._inspect_build(query)
        if not self._scope.labels:
            return dict(variables)
        return {**variables, **self._admit_object(route, variables, query)}

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
                self._unless_others(self._members.volume, body.name, "a volume")  # to make one that is there gives it
                body.labels = {**(body.labels or {}), **self._scope.labels}
            case NetworkCreate():
                if body.driver not in ("", "bridge") or _OWN_BRIDGE in (body.options or {}):
                    self._refuse(HOST, "a network on a link of the host")
                if self._scope.labels and _LIKE_AN_ID.fullmatch(body.name):
                    raise Forbidden(
                        f"{body.name}: the name of a network that may be what the id of another begins with"
                    )
                if body.config_from is not None:
                    self._own(self._members.network, body.config_from.network, "network {} not found")
                if not all(self._scope.owns(labels) for labels in self._members.awaiting(body.name)):
                    raise Forbidden(
                        f"{body.name}: the name of a network that a container is to be on which is not one of the "
                        f"socket {self.name}"
                    )
                body.labels = {**(body.labels or {}), **self._scope.labels}
            case NetworkConnect() | NetworkDisconnect():
                body.container = self._own(self._members.container, body.container, "No such container: {}")
                if isinstance(body, NetworkConnect) and self._scope.labels:
                    body.endpoint_config = self._held(body.endpoint_config)
            case _:
                pass

    def _admit_object(self, route: str, variables: Mapping[str, str], query: Query) -> dict[str, str]:
        """What of the variables means an object, by its id."""
        group = route.split("/")[1]
        if group in _ANYBODYS or route in _NARROWED or route in _MAKING or route in _IMAGES:
            if route == "POST /images/create" and query.text("fromSrc"):
                self._own_name(query)
            return {}
        if route == "POST /commit":
            asked = query.text("container")
            query.settle("container", self._own(self._members.container, asked, "No such container: {}"))
            self._own_name(query)
            return {}
        if "/containers/{id" in route:
            return {"id": self._own(self._members.container, variables["id"], "No such container: {}")}
        if "/exec/{id}" in route:
            return {"id": self._own(self._members.of_exec, variables["id"], "No such exec instance: {}")}
        if "/volumes/{name}" in route:
            return {"name": self._own(self._members.volume, variables["name"], "get {}: no such volume")}
        if "/networks/{id}" in route:
            return {"id": self._own(self._members.network, variables["id"], "network {} not found")}
        if route.startswith("GET ") and variables:
            raise NotFound(f"No such object: {next(iter(variables.values()))}")
        raise Forbidden(f"{route}: not on the socket {self.name}, which is for objects with labels")

    def _own(self, find: Callable[[str], tuple[str, Labels]], reference: str, missing: str) -> str:
        """The object's id. Somebody else's is not there: its existence is not told either."""
        if not self._scope.labels:
            return reference
        identifier, labels = find(reference)
        if not self._scope.owns(labels):
            raise NotFound(missing.format(reference))
        return identifier

    def _own_name(self, query: Query) -> None:
        """An image that is made takes no name that an image of others has, who would run it."""
        if query.text("repo"):
            repository, tag = query.text("repo"), query.text("tag")
            self._unless_others(self._members.image, f"{repository}:{tag}" if tag else repository, "an image")

    def _unless_others(self, find: Callable[[str], tuple[str, Labels]], name: str, what: str) -> None:
        try:
            _, labels = find(name)
        except NotFound:
            return
        if not self._scope.owns(labels):
            raise Forbidden(f"{name}: the name of {what} that is not one of the socket {self.name}")

    def _inspect_build(self, query: Query) -> None:
        if query.text("networkmode") == "host":
            self._refuse(HOST, "networkmode")
        for word in query.texts("allow"):
            self._refuse(_ENTITLED.get(word.partition("=")[0], PRIVILEGED), f"allow={word}")
        for name in ("cgroupparent", "securityopt"):
            if query.text(name) not in ("", "null", "[]"):
                self._refuse(PRIVILEGED, name)

    def _inspect_container(self, body: ContainerCreate) -> None:
        host = body.host_config
        for field, value in _weakening(host):
            if value:
                self._refuse(PRIVILEGED, f"HostConfig.{field}")
        for field, value in _of_host(host):
            if value == "host":
                self._refuse(HOST, f"HostConfig.{field}")
        try:
            self._inspect_mounts(host)
            self._inspect_relations(body)
        except NotFound as error:  # no 404, which clients take for a missing image
            raise InvalidArgument(error.message) from error
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
        """Other containers and networks that it takes part in must be of this scope, the networks at each start too."""
        if not self._scope.labels:
            return
        host = body.host_config
        others = [reference.partition(":")[0] for reference in host.volumes_from or []]
        others += [link.partition(":")[0] for link in host.links or []]
        modes = (host.network_mode, host.pid_mode, host.ipc_mode)
        others += [mode.partition(":")[2] for mode in modes if mode.startswith("container:")]
        for reference in others:
            self._own(self._members.container, reference, "No such container: {}")
        endpoints = dict(body.networking_config.endpoints_config or {})
        for name in {host.network_mode, *endpoints} - {"", "default", "bridge", "none", "host"}:
            if not name.startswith("container:"):
                self._own(self._members.network, name, "network {} not found")
                key = "default" if name not in endpoints and "default" in endpoints else name
                endpoints[key] = self._held(endpoints.get(key))
        body.networking_config.endpoints_config = endpoints

    def _held(self, settings: EndpointSettings | None) -> EndpointSettings:
        """Settings by which no start joins a network of others: by then its name may mean another than now."""
        settings = settings or EndpointSettings()
        settings.network_labels = dict(self._scope.labels)
        return settings

    def _refuse(self, word: str, what: str) -> None:
        if word in self._scope.deny:
            raise Forbidden(f"{what}: {word} is denied on the socket {self.name}")


def _weakening(host: HostConfig) -> list[tuple[str, Any]]:
    options = [option.replace(":", "=", 1) for option in host.security_opt or []]
    return [
        ("Privileged", host.privileged),
        ("CapAdd", host.cap_add),
        ("Devices", host.devices),
        ("DeviceRequests", host.device_requests),
        ("DeviceCgroupRules", host.device_cgroup_rules),
        ("SecurityOpt", set(options) - _HARMLESS),
        ("MaskedPaths", host.masked_paths is not None),  # any but the engine's own may be fewer
        ("ReadonlyPaths", host.readonly_paths is not None),
        ("OomScoreAdj", (host.oom_score_adj or 0) < 0),
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
