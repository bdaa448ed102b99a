"""What ``RUN --mount=`` and ``RUN --device=`` take."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field

from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.spelling import suggestion
from cove.dockerfile.text import boolean, quoted
from cove.errors import InvalidArgument
from cove.units import parse_size

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_KEYS = (
    "type from source target readonly id sharing required size mode uid gid src dst destination ro rw readwrite env"
).split()
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}

Expand = Callable[[str], str]
"""Replaces variables in a word. Raises DockerfileError."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a RUN; what does not belong to its type is at its default."""

    type: str = "bind"
    origin: str = ""
    """The stage, context or image of ``from=``, or nothing."""
    source: str = ""
    target: str = ""
    readonly: bool = True
    size: int = 0
    """Bytes of a tmpfs; 0 is no limit."""
    id: str = ""
    sharing: str = ""
    """``shared``, ``private``, ``locked``, or nothing for the default, which is shared."""
    required: bool = False
    env: str | None = None
    """The variable that a secret comes in; empty for one named as the secret."""
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A CDI device of a RUN."""

    name: str = ""
    required: bool = False


def mount_source(text: str) -> str:
    """The ``from=`` of a mount, or nothing; the only key that is looked at before variables are known."""
    origin = ""
    for entry in _fields(text, "mounts"):
        key, sign, value = entry.partition("=")
        if sign and key.lower() == "from":
            if "$" in value[:-1]:
                message = f"'{key.lower()}' doesn't support variable expansion, define alias stage instead"
                raise DockerfileError(message, culprit=entry)
            origin = value
    return origin


def parse_mount(text: str, expand: Expand) -> Mount:
    """A value of ``--mount`` with its variables replaced. Raises DockerfileError."""
    options = _Options()
    for entry in _fields(text, "mounts"):
        options.take(entry, expand)
    return options.mount()


@dataclass(slots=True)
class _Options:
    """The options of a mount while they are read; some depend on the type that was named before them."""

    type: str = "bind"
    words: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    readonly: bool | None = None
    required: bool = False
    size: int = 0

    def take(self, entry: str, expand: Expand) -> None:
        key, sign, written = entry.partition("=")
        key = key.lower()
        value = expand(written) if sign else ""
        name = _ALIASES.get(key, key)
        if not sign and name not in ("readonly", "readwrite", "required"):
            raise DockerfileError(f"invalid field '{entry}' must be a key=value pair", culprit=entry)
        if name not in _KEYS:
            raise DockerfileError(f"unexpected key '{key}' in '{entry}'" + suggestion(key, _KEYS), culprit=entry)
        if name in ("readonly", "readwrite"):
            self.readonly = (_boolean(key, value) if sign else True) == (name == "readonly")
        elif name == "required":
            self._only("required", key, "secret", "ssh")
            self.required = _boolean(key, value) if sign else True
        elif name == "size":
            self._only("size", key, "tmpfs")
            self.size = _size(value)
        elif name in ("mode", "uid", "gid"):
            self.numbers[name] = _number(name, value, 8 if name == "mode" else 10)
        elif name == "type":
            self.type = _choice("mount type", value, TYPES)
        else:
            self.words[name] = _choice("sharing value", value, SHARING) if name == "sharing" else value

    def _only(self, name: str, key: str, *types: str) -> None:
        if self.type not in types:
            raise DockerfileError(f"unexpected key '{key}' for mount type '{self.type}'", culprit=name)

    def mount(self) -> Mount:
        """The mount, with what its type forbids refused."""
        self._check()
        return Mount(
            type=self.type,
            origin=self.words.get("from", ""),
            source=self.words.get("source", ""),
            target=self.words.get("target", ""),
            readonly=self.type not in ("cache", "tmpfs") if self.readonly is None else self.readonly,
            size=self.size,
            id=self.words.get("id", ""),
            sharing=self.words.get("sharing", ""),
            required=self.required,
            env=self.words.get("env"),
            **self.numbers,
        )

    def _check(self) -> None:
        if self.type in ("bind", "tmpfs"):
            for name in ("mode", "uid", "gid"):
                if name in self.numbers:
                    raise DockerfileError(f"{name} not allowed for {quoted(self.type)} type mounts", culprit=name)
        if self.type == "secret":
            self._check_secret()
        if self.words.get("sharing") and self.type != "cache":
            raise DockerfileError(f"invalid cache sharing set for {self.type} mount", culprit="sharing")

    def _check_secret(self) -> None:
        source, target, id = (self.words.get(name, "") for name in ("source", "target", "id"))
        if self.words.get("from"):
            raise DockerfileError("secret mount should not have a from", culprit="from")
        if self.words.get("sharing"):
            raise DockerfileError("secret mount should not define sharing", culprit="sharing")
        if not (source or target or id):
            raise DockerfileError("invalid secret mount. one of source, target required")
        if source and id:
            raise DockerfileError("both source and id can't be set", culprit=source)


def parse_device(text: str) -> Device:
    """A value of ``--device``. Raises DockerfileError."""
    name, required = "", False
    for entry in _fields(text, "devices"):
        written, sign, value = entry.partition("=")
        key = written.lower()
        if key == "required":
            required = _boolean(key, value) if sign else True
        elif key == "name" and sign:
            if name:
                raise DockerfileError(f"device name already set to {name}", culprit=entry)
            name = value
        elif not name:
            name = entry
        elif not sign:
            raise DockerfileError(f"invalid field '{entry}' must be a key=value pair", culprit=entry)
        else:
            hint = suggestion(key, ("name", "required"))
            raise DockerfileError(f"unexpected key '{key}' in '{entry}'{hint}", culprit=entry)
    return Device(name, required)


def _fields(text: str, what: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DockerfileError(f"failed to parse csv {what}: {error}", culprit=text) from None
    return rows[0] if rows else []


def _boolean(key: str, value: str) -> bool:
    result = boolean(value)
    if result is None:
        raise DockerfileError(f"invalid value for {key}: {value}", culprit=value)
    return result


def _number(name: str, value: str, base: int) -> int:
    digits = "01234567" if base == 8 else "0123456789"
    if value and len(value) < 12 and all(digit in digits for digit in value) and (number := int(value, base)) < 1 << 32:
        return number
    raise DockerfileError(f"invalid value {value} for {name}", culprit=value)


def _size(value: str) -> int:
    try:
        return parse_size(value)
    except InvalidArgument:
        raise DockerfileError(f"invalid value for size: {value}", culprit=value) from None


def _choice(what: str, value: str, choices: tuple[str, ...]) -> str:
    if value.lower() in choices:
        return value.lower()
    raise DockerfileError(f"unsupported {what} {quoted(value)}" + suggestion(value, choices), culprit=value)
