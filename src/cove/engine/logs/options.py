"""Log drivers and their options: which there are, what they may be, and Docker's words for what they may not.

What Docker finds out only when it starts the container is refused here when it is created, with the same words.
"""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from cove.engine.logs import values as log_values
from cove.engine.patterns import compile_pattern
from cove.errors import InvalidArgument
from cove.wire.host_config import HostConfig

Options = Mapping[str, str]

DEFAULT_SIZE = 20 << 20
DEFAULT_FILES = 5
"""Logs are rotated by default: 5 files of 20 MiB each."""

DEFAULT_BUFFER = 1 << 20
"""Bytes that a driver in non-blocking mode keeps (Docker's)."""

FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp "
    "ntp security console solaris-cron local0 local1 local2 local3 local4 local5 local6 local7"
).split()
"""Numbered from 0 (RFC 5424); those from 12 to 15 have no name in Docker."""

SYSLOG_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")

_UNNAMED = frozenset(FACILITIES[12:16])
_SELECTION = ("env", "env-regex", "labels", "labels-regex", "tag")
_EVERY_DRIVER = ("mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
_FAILED = "failed to initialize logging driver: "


class LogDefaults(NamedTuple):
    """The daemon's: the driver of a container that names none, and the options that it did not give itself."""

    driver: str = "json-file"
    options: Mapping[str, str] = {}


def complete(host: HostConfig, defaults: LogDefaults) -> None:
    """Fill in the daemon's defaults, so that an inspection shows them."""
    log = host.log_config
    log.type = log.type or defaults.driver
    log.config = dict(log.config or {})
    if log.type == defaults.driver:
        log.config = {**defaults.options, **log.config}


def check(driver: str, options: Options) -> None:
    """Raises InvalidArgument."""
    if driver == "none":
        return
    if driver not in _CHECKS:
        raise InvalidArgument(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    _check_mode(options)
    _CHECKS[driver](options)


def buffer(options: Options) -> int:
    """Bytes that may wait for a driver before output is dropped; 0: the program waits."""
    if options.get("mode") != "non-blocking":
        return 0
    return log_values.size(options["max-buffer-size"]) if "max-buffer-size" in options else DEFAULT_BUFFER


class Rotation(NamedTuple):
    """``max_size`` in bytes."""

    max_size: int
    max_file: int
    compress: bool


def rotation(driver: str, options: Options) -> Rotation | None:
    """How the files of a container's log are rotated; None when none are kept."""
    if driver == "none":
        return None
    prefix = "" if driver in ("json-file", "local") else "cache-"
    if prefix and log_values.boolean(options.get("cache-disabled", "false")):
        return None
    size, files = options.get(f"{prefix}max-size"), options.get(f"{prefix}max-file")
    compress = options.get(f"{prefix}compress")
    return Rotation(
        DEFAULT_SIZE if size is None else log_values.size(size),
        DEFAULT_FILES if files is None else log_values.number(files),
        driver != "json-file" if compress is None else log_values.boolean(compress),
    )


def _check_mode(options: Options) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        _checked("error parsing option max-buffer-size: ", log_values.size, options["max-buffer-size"])


def _check_cache(options: Options) -> None:
    """Of drivers that send."""
    try:
        disabled = log_values.boolean(options.get("cache-disabled", "false"))
    except InvalidArgument as error:
        shown = options["cache-disabled"]
        raise InvalidArgument(f"invalid value for option cache-disabled: {shown}") from error
    if disabled:
        return
    for name, read in _ROTATION_VALUES.items():
        _checked(f"invalid value for option cache-{name}: ", read, options.get(f"cache-{name}"))
    found = rotation("syslog", options)
    if found is not None and (found.max_file < 1 or found.max_size < 0):
        raise InvalidArgument("cache-max-file cannot be less than 1")


def _checked(prefix: str, read: Callable[[str], object], text: str | None) -> None:
    """Read a value, if there is one, and say ``prefix`` before what is wrong with it."""
    try:
        if text is not None:
            read(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"{prefix}{error.message}") from error


_ROTATION_VALUES: dict[str, Callable[[str], object]] = {
    "max-size": log_values.size,
    "max-file": log_values.number,
    "compress": log_values.boolean,
}


def _check_known(options: Options, known: tuple[str, ...], words: str) -> None:
    for name in options:
        if name not in known and name not in _EVERY_DRIVER:
            raise InvalidArgument(words.format(name))


def _check_selection(options: Options) -> None:
    for name in ("labels-regex", "env-regex"):
        if options.get(name):
            _checked(_FAILED, compile_pattern, options[name])


def _check_json_file(options: Options) -> None:
    known = ("max-size", "max-file", "compress", *_SELECTION)
    _check_known(options, known, "unknown log opt '{}' for json-file log driver")
    for name, read in _ROTATION_VALUES.items():
        _checked(_FAILED, read, options.get(name))
    found = rotation("json-file", options)
    assert found is not None
    if found.max_size <= 0:
        raise InvalidArgument(f"{_FAILED}max-size must be a positive number")
    if found.max_file < 1:
        raise InvalidArgument(f"{_FAILED}max-file cannot be less than 1")
    if found.compress and found.max_file < 2:
        raise InvalidArgument(f"{_FAILED}compress cannot be true when max-file is less than 2 or max-size is not set")
    _check_selection(options)


def _check_local(options: Options) -> None:
    _check_known(options, tuple(_ROTATION_VALUES), "unknown log opt '{}' for log driver local")
    size, files = options.get("max-size"), options.get("max-file")
    _checked(f"{_FAILED}invalid value for max-size: {size}: ", log_values.size, size)
    _checked(f"{_FAILED}invalid value for max-file: {files}: ", log_values.number, files)
    _checked(f"{_FAILED}error reading compress log option: ", log_values.boolean, options.get("compress"))
    found = rotation("local", options)
    assert found is not None
    if found.compress and found.max_file <= 1:
        raise InvalidArgument(f"{_FAILED}compression cannot be enabled when max file count is 1")
    if found.max_file < 1:
        raise InvalidArgument(f"{_FAILED}max-file cannot be less than 1")


_SYSLOG = (
    "syslog-address syslog-facility syslog-tls-ca-cert syslog-tls-cert syslog-tls-key syslog-tls-skip-verify "
    "syslog-format"
).split()


def _check_syslog(options: Options) -> None:
    _check_known(options, (*_SYSLOG, *_SELECTION), "unknown log opt '{}' for syslog log driver")
    _check_syslog_address(options.get("syslog-address", ""))
    facility(options.get("syslog-facility", ""))
    if options.get("syslog-format", "") not in SYSLOG_FORMATS:
        raise InvalidArgument("Invalid syslog format")
    _check_cache(options)
    _check_selection(options)


def _check_syslog_address(address: str) -> None:
    if not address:
        return
    scheme, found, rest = address.partition("://")
    if not found or scheme not in ("udp", "tcp", "tcp+tls", "unix", "unixgram"):
        raise InvalidArgument(f"syslog-address should be in form proto://address, got {address}")
    if scheme.startswith("unix") and not os.path.exists(rest):
        raise InvalidArgument(f"stat {rest}: no such file or directory")
    if not scheme.startswith("unix"):
        _checked("", _port, rest)


def facility(text: str) -> int:
    """The number of a syslog facility. Raises InvalidArgument."""
    if not text:
        return FACILITIES.index("daemon")
    if text in FACILITIES and text not in _UNNAMED:
        return FACILITIES.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(FACILITIES):
        return int(text)
    raise InvalidArgument("invalid syslog facility")


def _port(address: str) -> int | None:
    """The port of ``host:port`` or ``[::1]:port``. Raises InvalidArgument."""
    try:
        return urlsplit(f"//{address}").port
    except ValueError as error:
        raise InvalidArgument(f"invalid address {address}: {error}") from error


def _check_journald(options: Options) -> None:
    _check_known(options, _SELECTION, "unknown log opt '{}' for journald log driver")
    _check_cache(options)
    _check_selection(options)


_RECONNECT_AFTER = (100_000_000, 10_000_000_000)
"""Nanoseconds, Docker's bounds."""


def _reconnect_interval(text: str) -> None:
    shortest, longest = _RECONNECT_AFTER
    if (given := log_values.duration(text)) and not shortest <= given <= longest:
        raise InvalidArgument(
            f'invalid value for fluentd-async-reconnect-interval: value ("{text}") must be between 100ms and 10s'
        )


_FLUENTD: dict[str, Callable[[str], object]] = {
    "fluentd-address": str,
    "fluentd-async": log_values.boolean,
    "fluentd-async-connect": log_values.boolean,
    "fluentd-async-reconnect-interval": _reconnect_interval,
    "fluentd-buffer-limit": log_values.size,
    "fluentd-max-retries": lambda text: log_values.number(text, "ParseUint"),
    "fluentd-read-timeout": log_values.duration,
    "fluentd-request-ack": log_values.boolean,
    "fluentd-retry-wait": log_values.duration,
    "fluentd-sub-second-precision": log_values.boolean,
    "fluentd-write-timeout": log_values.duration,
}


def _check_fluentd(options: Options) -> None:
    _check_known(options, (*_FLUENTD, *_SELECTION), "unknown log opt '{}' for fluentd log driver")
    if "fluentd-async" in options and "fluentd-async-connect" in options:
        raise InvalidArgument("conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect")
    for name, read in _FLUENTD.items():
        if options.get(name):
            read(options[name])
    _check_fluentd_address(options.get("fluentd-address", ""))
    _check_cache(options)
    _check_selection(options)


def _check_fluentd_address(address: str) -> None:
    scheme, found, rest = address.partition("://")
    scheme, rest = (scheme, rest) if found else ("tcp", address)
    if scheme not in ("tcp", "tls", "unix"):
        raise InvalidArgument(f'invalid fluentd-address {address}: unsupported scheme: "{scheme}"')
    port = rest.partition("/")[0].rpartition("]")[2].rpartition(":")[2] if ":" in rest.rpartition("]")[2] else ""
    if scheme != "unix" and port:
        _checked(f"invalid fluentd-address {address}: ", log_values.number, port)


_GELF = ("gelf-address", "gelf-compression-level", "gelf-compression-type", "gelf-tcp-max-reconnect")
_GELF_TCP = ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay")


def _check_gelf(options: Options) -> None:
    scheme = _gelf_scheme(options.get("gelf-address", ""))
    _check_known(options, (*_GELF, *_GELF_TCP, *_SELECTION), "unknown log opt '{}' for gelf log driver")
    for name, known in _GELF_COMPRESSION.items():
        value = options.get(name)
        if value is not None and scheme == "tcp":
            raise InvalidArgument("compression is only supported on UDP")
        if value is not None and value not in known:
            raise InvalidArgument(f'unknown value "{value}" for log opt "{name}" for gelf log driver')
    for name in _GELF_TCP:
        value = options.get(name)
        if value is not None and scheme == "udp":
            raise InvalidArgument(f'"{name}" is only valid for TCP')
        if value is not None and not (value.isascii() and value.isdigit()):
            raise InvalidArgument(f'"{name}" must be a positive integer')
    _check_cache(options)
    _check_selection(options)


_GELF_COMPRESSION: dict[str, tuple[str, ...]] = {
    "gelf-compression-type": ("gzip", "zlib", "none"),
    "gelf-compression-level": tuple(str(level) for level in range(-1, 10)),
}


def _gelf_scheme(address: str) -> str:
    if not address:
        raise InvalidArgument("gelf-address is a required parameter")
    scheme, found, rest = address.partition("://")
    if not found or scheme not in ("udp", "tcp"):
        raise InvalidArgument(f"gelf-address should be in form proto://address, got {address}")
    if _port(rest.partition("/")[0]) is None:
        raise InvalidArgument("gelf: please provide gelf-address as proto://host:port")
    return scheme


_CHECKS: dict[str, Callable[[Options], None]] = {
    "fluentd": _check_fluentd,
    "gelf": _check_gelf,
    "journald": _check_journald,
    "json-file": _check_json_file,
    "local": _check_local,
    "syslog": _check_syslog,
}

DRIVERS = tuple(_CHECKS)
"""Those that ``docker info`` lists; ``none`` is none of them."""
