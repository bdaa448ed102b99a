"""Every setting of the daemon, declared once: its flag, its key in the configuration file, its default, its help.

Keys are dockerd's where dockerd has the setting. The command line wins over the file; naming a setting in both is
refused, as dockerd does, except for ``hosts`` that socket activation brings.
"""

import argparse
import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cove.engine import log_options
from cove.engine.log_options import LogDefaults
from cove.errors import InvalidArgument

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
DEFAULT_CONFIG_FILE = "/etc/cove/daemon.json"


class AddressPool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range that subnets of new networks are cut from. ``base``: CIDR; ``size``: their prefix length."""

    base: str
    size: int


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The daemon's configuration: frozen; a reload makes another one."""

    data_root: str = "/var/lib/cove"
    exec_root: str = "/run/cove"
    hosts: tuple[str, ...] = ()
    pidfile: str = ""
    group: str = "docker"
    storage_driver: str = ""
    debug: bool = False
    log_level: str = "info"
    log_driver: str = "json-file"
    log_opts: dict[str, str] = {}
    cgroup_parent: str = "/cove"
    bridge: str = ""
    bip: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    default_address_pools: tuple[AddressPool, ...] = ()
    host_gateway_ips: tuple[str, ...] = ()
    init: bool = False
    seccomp_profile: str = "builtin"
    labels: tuple[str, ...] = ()
    shutdown_timeout: int = 15
    trash_minutes: int = 60
    trash_percent: int = 5
    trash_auto_removed: bool = False
    events_kept: int = 20_000
    events_hours: int = 168
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    allow_unauthenticated_tcp: bool = False

    def log_defaults(self) -> LogDefaults:
        return LogDefaults(self.log_driver, self.log_opts)

    def listen_addresses(self) -> tuple[str, ...]:
        return self.hosts or (f"unix://{self.exec_root}/cove.sock",)


class Flag(NamedTuple):
    """``name``: the field of Settings. ``reloads``: a SIGHUP applies a new value."""

    name: str
    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    reloads: bool = False


FLAGS = (
    Flag("data_root", ("--data-root",), "directory of images, containers and volumes", "DIR"),
    Flag("exec_root", ("--exec-root",), "directory of sockets and run-time state", "DIR"),
    Flag("hosts", ("-H", "--host"), "address to listen on, unix:// or tcp:// (repeatable)", "ADDRESS"),
    Flag("pidfile", ("-p", "--pidfile"), "file for the daemon's process id", "FILE"),
    Flag("group", ("-G", "--group"), "group that may use the unix socket", "GROUP"),
    Flag(
        "storage_driver",
        ("-s", "--storage-driver"),
        "what layers become: erofs (images) or overlay2 (directories)",
        "NAME",
    ),
    Flag("debug", ("-D", "--debug"), "log at level debug", reloads=True),
    Flag("log_level", ("-l", "--log-level"), "debug, info, warn, error or fatal", "LEVEL", reloads=True),
    Flag("log_driver", ("--log-driver",), "log driver of containers that name none", "DRIVER"),
    Flag("log_opts", ("--log-opt",), "option of the default log driver, key=value (repeatable)", "OPTION"),
    Flag("cgroup_parent", ("--cgroup-parent",), "cgroup that holds every container's", "PATH"),
    Flag("bridge", ("-b", "--bridge"), "name of the default network's bridge", "NAME"),
    Flag("bip", ("--bip",), "address and prefix of the default bridge", "CIDR"),
    Flag("dns", ("--dns",), "DNS server of containers that name none (repeatable)", "ADDRESS"),
    Flag("dns_search", ("--dns-search",), "search domain of containers that name none (repeatable)", "DOMAIN"),
    Flag("dns_opts", ("--dns-opt",), "option of resolv.conf for containers that name none (repeatable)", "OPTION"),
    Flag(
        "default_address_pools",
        ("--default-address-pool",),
        "range that subnets of networks are cut from, base=CIDR,size=LENGTH (repeatable)",
        "POOL",
    ),
    Flag("host_gateway_ips", ("--host-gateway-ip",), "what host-gateway is in --add-host (repeatable)", "ADDRESS"),
    Flag("init", ("--init",), "run an init in every container"),
    Flag("seccomp_profile", ("--seccomp-profile",), 'file of the default seccomp profile, or "unconfined"', "FILE"),
    Flag("labels", ("--label",), "label of the engine, key=value (repeatable)", "LABEL", reloads=True),
    Flag("shutdown_timeout", ("--shutdown-timeout",), "seconds that requests get to finish at the end", "SECONDS"),
    Flag(
        "trash_minutes",
        ("--trash-minutes",),
        "minutes that a removed container can be brought back, 0 for no trash",
        "N",
    ),
    Flag("trash_percent", ("--trash-percent",), "share of the disk that removed containers may take, in percent", "N"),
    Flag("trash_auto_removed", ("--trash-auto-removed",), "keep what --rm removes in the trash too"),
    Flag("events_kept", ("--events-kept",), "events that are kept for --since", "NUMBER"),
    Flag("events_hours", ("--events-hours",), "hours that an event is kept for --since", "HOURS"),
    Flag("tlsverify", ("--tlsverify",), "serve TCP with TLS, to clients with a certificate of --tlscacert only"),
    Flag("tlscacert", ("--tlscacert",), "certificates that clients' must be signed by", "FILE"),
    Flag("tlscert", ("--tlscert",), "the daemon's certificate", "FILE"),
    Flag("tlskey", ("--tlskey",), "the key of the daemon's certificate", "FILE"),
    Flag(
        "allow_unauthenticated_tcp",
        ("--allow-unauthenticated-tcp",),
        "DANGEROUS: serve TCP to anyone, who is then root on this machine",
    ),
)


def parser() -> argparse.ArgumentParser:
    """The command line of the daemon; absent flags are absent from the namespace."""
    parser = argparse.ArgumentParser(
        prog="coved", description="The Cove engine.", argument_default=argparse.SUPPRESS, allow_abbrev=False
    )
    parser.add_argument("--config-file", metavar="FILE", help=f"configuration file (default {DEFAULT_CONFIG_FILE})")
    parser.add_argument("--validate", action="store_true", help="check the configuration and exit")
    defaults = Settings()
    for flag in FLAGS:
        default = getattr(defaults, flag.name)
        text = f"{flag.help} (default {default})" if default not in ("", (), False, {}) else flag.help
        if isinstance(default, bool):
            parser.add_argument(*flag.flags, dest=flag.name, action=argparse.BooleanOptionalAction, help=text)
        elif isinstance(default, tuple | dict):
            parser.add_argument(*flag.flags, dest=flag.name, action="append", metavar=flag.metavar, help=text)
        else:
            parser.add_argument(*flag.flags, dest=flag.name, type=type(default), metavar=flag.metavar, help=text)
    return parser


def load(given: dict[str, Any]) -> Settings:
    """The settings of a parsed command line (``vars`` of its namespace) and of its configuration file.

    Raises InvalidArgument that names the flag or key.
    """
    given = dict(given)
    given.pop("validate", None)
    path = given.pop("config_file", None)
    content = _read_file(Path(path or DEFAULT_CONFIG_FILE), required=path is not None)
    both = sorted(_key(name) for name in given if _key(name) in content)
    if both:
        raise InvalidArgument(
            "unable to configure the daemon: the following directives are specified both as a flag and in the "
            f"configuration file: {', '.join(both)}"
        )
    if "default_address_pools" in given:
        given["default_address_pools"] = [_pool(text) for text in given["default_address_pools"]]
    if "log_opts" in given:
        given["log_opts"] = dict(_log_option(option) for option in given["log_opts"])
    merged = content | {_key(name): value for name, value in given.items()}
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid configuration: {error}") from error
    return _checked(settings)


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        if required:
            raise InvalidArgument(f"unable to configure the daemon with file {path}: no such file") from error
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"unable to configure the daemon with file {path}: {error}") from error
    if not isinstance(content, dict):
        raise InvalidArgument(f"unable to configure the daemon with file {path}: it must hold a JSON object")
    return content


def _pool(text: str) -> dict[str, Any]:
    """``base=10.0.0.0/8,size=24``, as the configuration file has it. Raises InvalidArgument."""
    fields = dict(field.strip().partition("=")[::2] for field in text.split(","))
    if set(fields) != {"base", "size"} or not fields["size"].isdecimal():
        raise InvalidArgument(f"invalid argument {text!r} for --default-address-pool: it must be base=CIDR,size=LENGTH")
    return {"base": fields["base"], "size": int(fields["size"])}


def _check_pool(pool: AddressPool) -> None:
    """Raises InvalidArgument for a range that no subnets can be cut from."""
    try:
        base = ip_network(pool.base, strict=False)
    except ValueError as error:
        raise InvalidArgument(f"invalid default-address-pools base {pool.base!r}: {error}") from None
    if not base.prefixlen <= pool.size <= base.max_prefixlen - 2:
        raise InvalidArgument(f"invalid default-address-pools size {pool.size} for base {pool.base}")


def _key(name: str) -> str:
    return name.replace("_", "-")


def _log_option(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise InvalidArgument(f"invalid argument {text!r} for --log-opt: it must be key=value")
    return name, value


def _check_log(settings: Settings) -> None:
    try:
        log_options.check(settings.log_driver, settings.log_opts)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to set log opts: {error.message}") from error


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _checked(settings: Settings) -> Settings:
    if settings.log_level not in LOG_LEVELS:
        raise InvalidArgument(f'invalid logging level: "{settings.log_level}"')
    _check_log(settings)
    for name in ("data_root", "exec_root"):
        if not getattr(settings, name).startswith("/"):
            raise InvalidArgument(f"--{_key(name)} must be an absolute path")
    for host in settings.hosts:
        if not host.startswith(("unix:///", "tcp://", "fd://")):
            raise InvalidArgument(f"invalid bind address ({host}): use unix:///PATH, tcp://HOST:PORT or fd://")
    for name in ("events_kept", "events_hours", "trash_minutes", "trash_percent"):
        if getattr(settings, name) < 0:
            raise InvalidArgument(f"--{_key(name)} cannot be negative")
    for pool in settings.default_address_pools:
        _check_pool(pool)
    for address in (*settings.dns, *settings.host_gateway_ips):
        if not is_address(address):
            raise InvalidArgument(f"IP address is not correctly formatted: {address}")
    for label in settings.labels:
        if "=" not in label:
            raise InvalidArgument(f"bad attribute format: {label}")
    if not settings.cgroup_parent.startswith("/") or ".." in settings.cgroup_parent.split("/"):
        raise InvalidArgument(
            f"--cgroup-parent must be an absolute path below the cgroup root: {settings.cgroup_parent}"
        )
    return settings
