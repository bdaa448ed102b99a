"""``--change`` of import and commit: Dockerfile lines that set the configuration of the image."""

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cove.errors import InvalidArgument
from cove.oci.image import Config, Healthcheck
from cove.units import parse_duration

SHELL = ["/bin/sh", "-c"]
_LINE = re.compile(r"\s*(\S+)\s*(.*)", re.DOTALL)
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SPAN = 1000
"""The most ports of one range in EXPOSE."""


def apply(config: Config, changes: Sequence[str]) -> Config:
    """The configuration with these lines carried out, in order. Raises InvalidArgument naming the line.

    An ENTRYPOINT drops the command that was there, but not one of an earlier line.
    """
    commanded = False
    lines = [match for line in changes if (match := _LINE.fullmatch(line)) and not match[1].startswith("#")]
    if changes and not lines:
        raise InvalidArgument("file with no instructions")
    for match in lines:
        word, rest = match[1].lower(), match[2].strip()
        instruction = _INSTRUCTIONS.get(word)
        if instruction is None:
            raise InvalidArgument(f"{word} is not a valid change command")
        if word == "entrypoint" and not commanded:
            config = msgspec.structs.replace(config, cmd=None)
        commanded = commanded or word == "cmd"
        config = msgspec.structs.replace(config, **instruction(config, rest))
    return config


def _cmd(config: Config, rest: str) -> dict[str, Any]:
    return {"cmd": _command(rest, config)}


def _entrypoint(config: Config, rest: str) -> dict[str, Any]:
    return {"entrypoint": _command(rest, config)}


def _env(config: Config, rest: str) -> dict[str, Any]:
    pairs = _pairs("ENV", rest)
    merged = dict(item.partition("=")[::2] for item in config.env or [])
    return {"env": [f"{name}={value}" for name, value in (merged | pairs).items()]}


def _label(config: Config, rest: str) -> dict[str, Any]:
    return {"labels": {**(config.labels or {}), **_pairs("LABEL", rest)}}


def _expose(config: Config, rest: str) -> dict[str, Any]:
    words = rest.split()
    if not words:
        raise InvalidArgument("EXPOSE requires at least one argument")
    ports = {port for word in words for port in _ports(word)}
    return {"exposed_ports": {**(config.exposed_ports or {}), **{port: {} for port in sorted(ports)}}}


def _volume(config: Config, rest: str) -> dict[str, Any]:
    paths = _list(rest)
    paths = rest.split() if paths is None else paths
    if not paths:
        raise InvalidArgument("VOLUME requires at least one argument")
    if not all(path.strip() for path in paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return {"volumes": {**(config.volumes or {}), **{path: {} for path in paths}}}


def _user(config: Config, rest: str) -> dict[str, Any]:
    return {"user": _one("USER", rest)}


def _workdir(config: Config, rest: str) -> dict[str, Any]:
    path = _one("WORKDIR", rest)
    base = "" if path.startswith("/") else config.working_dir or "/"
    parts: list[str] = []
    for part in f"{base}/{path}".split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return {"working_dir": "/" + "/".join(parts)}


def _stop_signal(config: Config, rest: str) -> dict[str, Any]:
    return {"stop_signal": _one("STOPSIGNAL", rest)}


def _on_build(config: Config, rest: str) -> dict[str, Any]:
    word = rest.partition(" ")[0].upper()
    if not word:
        raise InvalidArgument("ONBUILD requires at least one argument")
    if word == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("MAINTAINER", "FROM"):
        raise InvalidArgument(f"{word} isn't allowed as an ONBUILD trigger")
    return {"on_build": [*(config.on_build or []), rest]}


def _healthcheck(config: Config, rest: str) -> dict[str, Any]:
    options, rest = _options(rest)
    kind, _, command = rest.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE":
        if command or options:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return {"healthcheck": Healthcheck(test=["NONE"])}
    if not kind:
        raise InvalidArgument("HEALTHCHECK requires at least one argument")
    if kind.upper() != "CMD":
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    words = _list(command)
    if not (words if words is not None else command):
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    test = ["CMD-SHELL", command] if words is None else ["CMD", *words]
    return {"healthcheck": Healthcheck(test=test, **_health_options(options))}


def _health_options(options: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in options.items():
        if name == "retries":
            if not value.isdigit() or int(value) < 1:
                raise InvalidArgument(f"HEALTHCHECK --retries must be at least 1 (not {value})")
            found[name] = int(value)
        elif name in ("interval", "timeout", "start-period", "start-interval"):
            found[name.replace("-", "_")] = parse_duration(value)
        else:
            raise InvalidArgument(f"unknown flag: --{name}")
    return found


def _options(rest: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    while rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        name, _, value = word[2:].partition("=")
        options[name] = value
        rest = rest.lstrip()
    return options, rest


def _command(rest: str, config: Config) -> list[str]:
    words = _list(rest)
    if words is not None:
        return words
    return [*(config.shell or SHELL), rest] if rest else [*(config.shell or SHELL)]


def _list(text: str) -> list[str] | None:
    """A JSON list of strings; None for anything else, which is then taken as plain words."""
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError:
        return None


def _pairs(word: str, rest: str) -> dict[str, str]:
    """``a=b c="d e"``, or the old form ``name the rest``."""
    if not rest:
        raise InvalidArgument(f"{word} requires at least one argument")
    first = rest.split(None, 1)
    if "=" not in first[0] and not rest.startswith(('"', "'")):
        if len(first) < 2:
            raise InvalidArgument(f"{word} must have two arguments")
        return {first[0]: first[1]}
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InvalidArgument(f"{word}: {error}") from None
    pairs: dict[str, str] = {}
    for item in words:
        name, equals, value = item.partition("=")
        if not equals:
            raise InvalidArgument(f"Syntax error - can't find = in {item!r}. Must be of the form: name=value")
        if not name:
            raise InvalidArgument(f"{word} names can not be blank")
        pairs[name] = value
    return pairs


def _ports(word: str) -> list[str]:
    match = _PORT.fullmatch(word)
    if match is None:
        raise InvalidArgument(f"Invalid containerPort: {word}")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 < first <= last < 65536 or last - first > _SPAN:
        raise InvalidArgument(f"Invalid containerPort: {word}")
    return [f"{port}/{(match[3] or 'tcp').lower()}" for port in range(first, last + 1)]


def _one(word: str, rest: str) -> str:
    words = rest.split()
    if len(words) != 1:
        raise InvalidArgument(f"{word} requires exactly one argument")
    return rest if word == "WORKDIR" else words[0]


_INSTRUCTIONS: dict[str, Callable[[Config, str], dict[str, Any]]] = {
    "cmd": _cmd,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _healthcheck,
    "label": _label,
    "onbuild": _on_build,
    "stopsignal": _stop_signal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
