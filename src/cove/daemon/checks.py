"""What a configuration may say, whether by flag or by file."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from cove.daemon import cgroup_driver, flag_values, network_settings, registry_entries
from cove.daemon.flag_values import RESERVED_RUNTIMES
from cove.daemon.settings import Settings
from cove.engine.logs import options as log_options
from cove.errors import InvalidArgument
from cove.layers import storage_driver
from cove.network import PUBLISH_MODES

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
LOG_FORMATS = ("text", "json")
FIREWALL_BACKENDS = ("", "iptables", "nftables")


def check(settings: Settings) -> None:
    """Raises InvalidArgument in dockerd's words."""
    _check_words(settings)
    _check_numbers(settings)
    _check_places(settings)
    _check_addresses(settings)
    _check_runtimes(settings)


def check_together(settings: Settings) -> None:
    """What flags and file together must not say, which dockerd finds when it starts. Raises InvalidArgument."""
    _check_labels(settings.labels)
    network_settings.check(settings)
    for name in settings.insecure_registries:
        registry_entries.insecure(name)
    for name in settings.allow_nondistributable_artifacts:
        registry_entries.foreign(name)
    for option in settings.exec_opts:
        cgroup_driver.check_option(option)
    _check_container_logs(settings)
    storage_driver.check(settings.storage_driver)
    for option in settings.storage_opts:
        storage_driver.check_option(option)
    if settings.metrics_addr and ":" not in settings.metrics_addr:
        raise InvalidArgument(
            f"failed to start metrics server: address {settings.metrics_addr}: missing port in address"
        )


def _check_labels(labels: tuple[str, ...]) -> None:
    """A label has one value, however often it is given."""
    known: dict[str, str] = {}
    for label in labels:
        before = known.setdefault(label.partition("=")[0], label)
        if before != label:
            raise InvalidArgument(f"conflict labels for {label} and {before}")


def check_log(settings: Settings) -> None:
    """What is wrong with the daemon's own log. Raises InvalidArgument."""
    if settings.log_level not in LOG_LEVELS:
        raise InvalidArgument(f"unable to parse logging level: {settings.log_level}")
    if settings.log_format not in LOG_FORMATS:
        raise InvalidArgument(f"invalid log format: {settings.log_format}")


def _check_words(settings: Settings) -> None:
    if settings.default_ipc_mode not in ("private", "shareable"):
        mode = settings.default_ipc_mode
        raise InvalidArgument(f'default IPC mode setting ({mode}) is invalid; use "shareable" or "private"')
    if settings.default_cgroupns_mode not in ("private", "host"):
        mode = settings.default_cgroupns_mode
        raise InvalidArgument(f'default cgroup namespace mode ({mode}) is invalid; use "host" or "private"')
    if settings.firewall_backend not in FIREWALL_BACKENDS:
        raise InvalidArgument(f'invalid firewall-backend "{settings.firewall_backend}"')
    if settings.publish not in PUBLISH_MODES:
        raise InvalidArgument(f'invalid publish "{settings.publish}": it must be {" or ".join(PUBLISH_MODES)}')
    _each(flag_values.label, settings.labels)
    _check_resources(settings.node_generic_resources)


def _check_resources(resources: tuple[str, ...]) -> None:
    """One resource is counted or named: ``gpu=2``, or ``gpu=a`` and ``gpu=b``."""
    _each(flag_values.generic_resource, resources)
    values: dict[str, list[str]] = {}
    for name, _, value in (text.partition("=") for text in resources):
        values.setdefault(name, []).append(value)
    for name, found in values.items():
        if len(found) > 1 and any(value.isdecimal() for value in found):
            words = f"mixed discrete and named resources in expression '{name}=[{' '.join(found)}]'"
            raise InvalidArgument(f"could not parse GenericResource: {words}")


def _check_container_logs(settings: Settings) -> None:
    try:
        log_options.check(settings.log_driver, settings.log_opts)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to set log opts: {error.message}") from None


def _check_numbers(settings: Settings) -> None:
    for name in ("max_concurrent_downloads", "max_concurrent_uploads"):
        if getattr(settings, name) < 0:
            raise InvalidArgument(f"invalid {name.replace('_', ' ')}: {getattr(settings, name)}")
    if settings.max_download_attempts <= 0:
        raise InvalidArgument(f"invalid max download attempts: {settings.max_download_attempts}")
    if settings.registry_silence <= 0:
        raise InvalidArgument(f"registry-silence must be at least a second: {settings.registry_silence}")
    if settings.mtu < 0:
        raise InvalidArgument(f"invalid default MTU: {settings.mtu}")
    if not -1000 <= settings.oom_score_adjust <= 1000:
        raise InvalidArgument(f"invalid value {settings.oom_score_adjust}, range for oom-score-adjust is [-1000, 1000]")
    for name in ("events_kept", "events_hours", "trash_minutes", "trash_percent"):
        if getattr(settings, name) < 0:
            raise InvalidArgument(f"{_key(name)} cannot be negative: {getattr(settings, name)}")
    if isinstance(settings.default_shm_size, str):
        _each(flag_values.size, [settings.default_shm_size])


def _check_places(settings: Settings) -> None:
    for name in ("data_root", "exec_root"):
        if not getattr(settings, name).startswith("/"):
            raise InvalidArgument(f"{_key(name)} must be an absolute path: {getattr(settings, name)!r}")
    if settings.audit_log not in ("", "none") and not settings.audit_log.startswith("/"):
        raise InvalidArgument(f"audit-log must be an absolute path or none: {settings.audit_log!r}")
    cgroup_driver.check_parent(settings)


def _check_addresses(settings: Settings) -> None:
    _each(flag_values.host, settings.hosts)
    _each(flag_values.mirror, settings.registry_mirrors)
    _each(flag_values.mark, filter(None, [settings.bridge_accept_fwmark]))
    _each(flag_values.address, settings.dns)
    _each(flag_values.search_domain, settings.dns_search)
    _each(flag_values.address, settings.host_gateway_ips)
    _each(flag_values.address, filter(None, (settings.ip, settings.default_gateway, settings.default_gateway_v6)))
    for name in ("bip", "bip6", "fixed_cidr", "fixed_cidr_v6"):
        value = getattr(settings, name)
        if value and not _is_cidr(value):
            raise InvalidArgument(f"{_key(name)}: invalid CIDR address: {value}")
    for pool in settings.default_address_pools:
        _each(flag_values.address_pool, [f"base={pool.base},size={pool.size}"])


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "/" in text


def _check_runtimes(settings: Settings) -> None:
    for name in settings.runtimes:
        if name in RESERVED_RUNTIMES:
            raise InvalidArgument(f"runtime name '{name}' is reserved")
    if settings.default_runtime not in ("", *RESERVED_RUNTIMES, *settings.runtimes):
        raise InvalidArgument(f"specified default runtime '{settings.default_runtime}' does not exist")


def _each(parse: Callable[[str], Any], texts: Iterable[str]) -> None:
    for text in texts:
        try:
            parse(text)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None


def _key(name: str) -> str:
    return name.replace("_", "-")
