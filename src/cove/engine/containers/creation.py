"""From a create request and an image to a container's record: merging, defaults and checks. Pure."""

import secrets
import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address

from cove.engine import nul, signals
from cove.engine.bundle import limits, modes, privileges, security
from cove.engine.bundle.defaults import Defaults
from cove.engine.containers.record import Record
from cove.engine.lifecycle import restarts
from cove.engine.logs import options as log_options
from cove.engine.mounting import mounts, root_sizes
from cove.engine.networking.connectivity import split_port
from cove.engine.networking.etcfiles import HOST_GATEWAY
from cove.errors import InvalidArgument
from cove.oci import image as oci
from cove.wire.config import Config, HealthConfig
from cove.wire.containers import ContainerCreate
from cove.wire.host_config import HostConfig
from cove.wire.networks import EndpointSettings, NetworkingConfig

SHORTEST_PROBE = 1_000_000
"""Nanoseconds."""


def record(
    request: ContainerCreate,
    *,
    name: str,
    image_id: str,
    image: oci.ImageConfig,
    image_name: str,
    defaults: Defaults = Defaults(),  # noqa: B008
) -> Record:
    """The record of a new container. Raises InvalidArgument that names the field."""
    nul.refuse(request)
    modes.check(request, request.host_config)
    container_id = secrets.token_hex(32)
    config = merged_config(request, image.config or oci.Config())
    host = request.host_config
    if not (config.entrypoint or config.cmd):
        raise InvalidArgument("no command specified")
    config.hostname = config.hostname or _hostname(host, container_id)
    check(config, host)
    defaults.apply(host)
    complete(host)
    return Record(
        id=container_id,
        name=name,
        created=time.time_ns(),
        image=image_id,
        image_name=image_name,
        config=config,
        host_config=host,
        networking=(
            NetworkingConfig(endpoints_config={})
            if config.network_disabled
            else networking(request.networking_config, host, config.mac_address)
        ),
        mounts=mounts.points(config, host),
    )


def _hostname(host: HostConfig, container_id: str) -> str:
    if host.uts_mode == "host":
        return ""
    return socket.gethostname() if host.network_mode == "host" else container_id[:12]


def merged_config(request: ContainerCreate, image: oci.Config) -> Config:
    """The request's configuration over the image's, by Docker's rules."""
    made = Config(**{field: getattr(request, field) for field in Config.__struct_fields__})
    made.user = made.user or image.user
    made.working_dir = made.working_dir or image.working_dir
    made.stop_signal = made.stop_signal or image.stop_signal
    made.stop_timeout = image.stop_timeout if made.stop_timeout is None else made.stop_timeout
    made.shell = made.shell or image.shell
    made.env = _merged_env(image.env or [], made.env or []) or None
    made.labels = {**(image.labels or {}), **(made.labels or {})}
    made.exposed_ports = {**(image.exposed_ports or {}), **(made.exposed_ports or {})} or None
    made.volumes = {**(image.volumes or {}), **(made.volumes or {})} or None
    made.healthcheck = _merged_health(made.healthcheck, image.healthcheck)
    if not made.entrypoint:  # an entry point in the request drops the image's command as well
        made.cmd = made.cmd or image.cmd
        made.entrypoint = image.entrypoint if made.entrypoint is None else made.entrypoint
    elif made.entrypoint == [""]:  # --entrypoint "" asks for none at all
        made.entrypoint = None
    return made


def _merged_env(image: Sequence[str], request: Sequence[str]) -> list[str]:
    """The request's first, then what the image has and the request does not, as Docker orders them."""
    named = {entry.partition("=")[0] for entry in request}
    return [*request, *(entry for entry in image if entry.partition("=")[0] not in named)]


def _merged_health(request: HealthConfig | None, image: oci.Healthcheck | None) -> HealthConfig | None:
    if image is None:
        return request
    inherited = HealthConfig(**{name: getattr(image, name) for name in oci.Healthcheck.__struct_fields__})
    if request is None:
        return inherited
    for name in HealthConfig.__struct_fields__:
        if not getattr(request, name):
            setattr(request, name, getattr(inherited, name))
    return request


def complete(host: HostConfig) -> None:
    """Fill in what a request leaves open, so that an inspection shows what holds."""
    host.console_size = [*host.console_size, 0, 0][:2]
    host.network_mode = "bridge" if host.network_mode in ("", "default") else host.network_mode
    host.pids_limit = host.pids_limit or None
    host.oom_kill_disable = bool(host.oom_kill_disable)
    host.memory_swappiness = None if host.memory_swappiness == -1 else host.memory_swappiness
    host.restart_policy.name = host.restart_policy.name or "no"
    host.log_config.type = host.log_config.type or "json-file"
    host.log_config.config = host.log_config.config or {}
    if host.privileged:
        host.masked_paths, host.readonly_paths = [], []
    if host.masked_paths is None:
        host.masked_paths = list(privileges.masked_paths())
    if host.readonly_paths is None:
        host.readonly_paths = list(privileges.READONLY_PATHS)
    if host.memory and not host.memory_swap:
        host.memory_swap = host.memory * 2


def networking(given: NetworkingConfig, host: HostConfig, mac: str = "") -> NetworkingConfig:
    """The endpoints' settings, one for the network of the mode among them; those for ``default`` are for that.

    ``mac``: where older clients put the address of the first endpoint. Raises InvalidArgument when both are given, and
    for addresses on what has none.
    """
    endpoints = dict(given.endpoints_config or {})
    mode = host.network_mode
    if mode.startswith("container:"):
        return NetworkingConfig(endpoints_config={})
    if "default" in endpoints:
        endpoints.setdefault(mode, endpoints.pop("default"))
    first = endpoints.pop(mode, None) or EndpointSettings()
    if mac and first.mac_address not in ("", mac):
        raise InvalidArgument(f"conflicting MAC addresses: {mac} and {first.mac_address}")
    asked = first.ipam_config
    if mode in ("host", "none") and asked and (asked.ipv4_address or asked.ipv6_address):
        raise InvalidArgument("user specified IP address is supported on user defined networks only")
    if mode not in ("host", "none"):
        first.mac_address = first.mac_address or mac
    return NetworkingConfig(endpoints_config={mode: first, **endpoints})


def check(config: Config, host: HostConfig) -> None:
    """Raises InvalidArgument, in Docker's words where it has them, for what cannot be."""
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    if config.stop_signal:
        signals.number(config.stop_signal)
    if len(config.hostname) > 64:  # the kernel's limit
        raise InvalidArgument(f"invalid hostname: {config.hostname!r} is longer than 64 characters")
    for entry in config.env or []:
        if entry.startswith("=") or not entry or "\0" in entry:
            raise InvalidArgument(f"invalid environment variable: {entry}")
    for port in (*(config.exposed_ports or {}), *(host.port_bindings or {})):
        split_port(port)
    for wish in (wish for wishes in (host.port_bindings or {}).values() for wish in wishes or ()):
        _check_host_port(wish.host_port)
    restarts.checked(host)
    privileges.capabilities(host.cap_add or [], host.cap_drop or [], privileged=host.privileged)
    _check_names(host)
    log_options.check(host.log_config.type or "json-file", host.log_config.config or {})
    _check_probe(config.healthcheck)
    security.parse(host.security_opt or [])
    if host.isolation not in ("", "default"):
        raise InvalidArgument(f"invalid isolation: \"{host.isolation}\" - linux only supports 'default'")
    limits.check(host)
    root_sizes.of(host)
    limits.terminal_size("HostConfig.ConsoleSize", host.console_size)


def _check_host_port(text: str) -> None:
    first, _, last = text.partition("-")
    if text and not all(part.isdecimal() and int(part) < 65536 for part in (first, last or first)):
        raise InvalidArgument(f'invalid port specification: "{text}"')


def _check_names(host: HostConfig) -> None:
    """Servers and host entries, in the words of Docker's command line, which is where Docker looks at them."""
    for server in host.dns or []:
        if not _is_address(server):
            raise InvalidArgument(f"IP address is not correctly formatted: {server}")
    for entry in host.extra_hosts or []:
        name, _, address = entry.partition(":")
        if not name or not address:
            raise InvalidArgument(f'bad format for add-host: "{entry}"')
        if address != HOST_GATEWAY and not _is_address(address.strip("[]")):
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"')


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check_probe(probe: HealthConfig | None) -> None:
    if probe is None:
        return
    waits = {
        "Interval": probe.interval,
        "Timeout": probe.timeout,
        "StartPeriod": probe.start_period,
        "StartInterval": probe.start_interval,
    }
    for name, value in waits.items():
        if value and value < SHORTEST_PROBE:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if probe.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
