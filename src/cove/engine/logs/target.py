"""Where a container's shim keeps and sends its output: the log configuration of one start, worked out."""

import os
from collections.abc import Mapping
from typing import Any

from cove.engine.containers.container import Container
from cove.engine.logs import options as log_options
from cove.engine.logs import values as log_values
from cove.engine.patterns import compile_pattern
from cove.errors import InvalidArgument
from cove.runtime.messages import LogTarget, RemoteLog
from cove.units import format_time

DEFAULT_TAG = "{{.ID}}"
"""Docker's, of drivers that always have a tag."""

SHORT_ID = 12

MAX_EXTRA = 64 << 10
"""Bytes of labels, environment and tag that go with a log: the shim is told of them in one datagram."""

MAX_COMMAND = 4 << 10
"""Characters of the command that drivers which send are told of."""


def log_target(container: Container) -> LogTarget:
    """Raises InvalidArgument when a tag cannot be made."""
    given = container.record.host_config.log_config
    driver, options = given.type or "json-file", given.config or {}
    rotation = log_options.rotation(driver, options)
    target: LogTarget = {
        "driver": driver if driver in ("json-file", "none") else "local",
        "path": str(container.log) if rotation is not None else "",
        "max_size": rotation.max_size if rotation is not None else 0,
        "max_file": rotation.max_file if rotation is not None else 0,
    }
    if rotation is not None and rotation.compress and rotation.max_file != 1:
        target["compress"] = True
    if rotation is not None and (buffer := log_options.buffer(options)):
        target["buffer"] = buffer
    if driver == "json-file":
        attributes = _extra(container, options)
        if options.get("tag"):
            attributes["tag"] = tag(container, options["tag"])
        if attributes:
            target["attributes"] = attributes
    elif driver not in ("local", "none"):
        target["remote"] = _remote(container, driver, options)
    return target


def check(container: Container) -> None:
    """What ``log_target`` would refuse of a container that is being made, but for its tag. Raises InvalidArgument."""
    _extra(container, container.record.host_config.log_config.config or {})


def _remote(container: Container, driver: str, options: Mapping[str, str]) -> RemoteLog:
    return {
        "driver": driver,
        "options": _options(driver, options),
        "tag": tag(container, options.get("tag") or DEFAULT_TAG),
        "info": _info(container),
        "extra": _extra(container, options),
        "buffer": _buffer(driver, options),
    }


_FLUENTD_TIMES = (
    "fluentd-retry-wait",
    "fluentd-write-timeout",
    "fluentd-read-timeout",
    "fluentd-async-reconnect-interval",
)


def _options(driver: str, options: Mapping[str, str]) -> dict[str, str]:
    """Those of the driver alone, in the sender's terms: a facility's number, durations in seconds."""
    own = {name: value for name, value in options.items() if name.startswith(f"{driver}-")}
    if driver == "syslog":
        own["syslog-facility"] = str(log_options.facility(own.get("syslog-facility", "")))
    for name in _FLUENTD_TIMES:
        if own.get(name):
            own[name] = str(log_values.duration(own[name]) / 1e9)
        else:
            own.pop(name, None)
    return own


def _buffer(driver: str, options: Mapping[str, str]) -> int:
    """A fluentd driver that is asynchronous keeps a buffer of its own, and drops what goes beyond it."""
    waits = log_options.buffer(options)
    asynchronous = options.get("fluentd-async") or options.get("fluentd-async-connect") or "false"
    if driver == "fluentd" and not waits and log_values.boolean(asynchronous):
        return log_values.size(options.get("fluentd-buffer-limit") or str(log_options.DEFAULT_BUFFER))
    return waits


def _info(container: Container) -> dict[str, str]:
    record = container.record
    return {
        "container_id": record.id,
        "container_name": f"/{record.name}",
        "image_id": record.image,
        "image_name": record.image_name,
        "command": " ".join(record.arguments)[:MAX_COMMAND],
        "created": format_time(record.created),
        "hostname": os.uname().nodename,
    }


def _extra(container: Container, options: Mapping[str, str]) -> dict[str, str]:
    """The labels and the environment that the options name, exactly or by a pattern."""
    config = container.record.config
    environment = dict(entry.partition("=")[::2] for entry in config.env or [] if "=" in entry)
    found: dict[str, str] = {}
    for values, kind in ((config.labels or {}, "labels"), (environment, "env")):
        found |= {name: values[name] for name in options.get(kind, "").split(",") if name in values}
        if options.get(f"{kind}-regex"):
            pattern = compile_pattern(options[f"{kind}-regex"])
            found |= {name: value for name, value in values.items() if pattern.search(name.encode())}
    _bound("labels and env", sum(len(name.encode()) + len(value.encode()) for name, value in found.items()))
    return found


def _bound(what: str, size: int) -> None:
    if size > MAX_EXTRA:
        raise InvalidArgument(f"log-opt {what}: {size} bytes go with each log, and {MAX_EXTRA} at most can")


def tag(container: Container, source: str) -> str:
    """The text of a tag's template (Go's). Raises InvalidArgument in Docker's words."""
    if "{{" not in source:
        return source
    from cove.template.evaluate import Template
    from cove.template.lexer import TemplateError

    try:
        made = Template(source).render(_fields(container), _field)
    except TemplateError as error:
        words = (
            str(error).replace("template: :", "template: log-tag:", 1).replace('executing ""', 'executing "log-tag"')
        )
        raise InvalidArgument(f"failed to initialize logging driver: {words}") from error
    _bound("tag", len(made.encode()))
    return made


def _field(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        raise LookupError(f"can't evaluate field {name} in type *logger.Info")
    return value[name]


def _fields(container: Container) -> dict[str, Any]:
    """What a template may name: the fields and methods of Docker's ``logger.Info``."""
    record = container.record
    config, options = record.config, record.host_config.log_config.config or {}
    program = record.arguments
    return {
        "ID": record.id[:SHORT_ID],
        "FullID": record.id,
        "Name": record.name,
        "ImageID": record.image[:SHORT_ID],
        "ImageFullID": record.image,
        "ImageName": record.image_name,
        "DaemonName": "docker",
        "Command": " ".join(program),
        "Hostname": os.uname().nodename,
        "ContainerID": record.id,
        "ContainerName": f"/{record.name}",
        "ContainerEntrypoint": program[0],
        "ContainerArgs": program[1:],
        "ContainerImageID": record.image,
        "ContainerImageName": record.image_name,
        "ContainerCreated": format_time(record.created),
        "ContainerEnv": list(config.env or []),
        "ContainerLabels": dict(config.labels or {}),
        "LogPath": str(container.log),
        "Config": dict(options),
    }
