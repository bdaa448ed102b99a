"""What the text of a daemon's flag means, as the value that its key has in the configuration file.

Each function raises ValueError in dockerd's words.
"""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from cove import units
from cove.engine.bundle.limits import ULIMITS
from cove.errors import InvalidArgument

RESERVED_RUNTIMES = ("runc", "cove")
SCHEMES = ("unix", "tcp", "fd")


def address(text: str) -> str:
    """An IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text} is not an ip address") from None
    return text


def search_domain(text: str) -> str:
    """A domain for resolv.conf; ``.`` stands for none."""
    text = text.strip()
    labels = text.rstrip(".").split(".")
    good = all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    if text != "." and (not good or not any(map(str.isalpha, text)) or len(text) >= 255):
        raise ValueError(f"{text} is not a valid domain")
    return text


def host(text: str) -> str:
    """An address to listen on; without a scheme it is TCP's."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    if scheme not in SCHEMES or (scheme == "unix" and not rest.startswith("/")):
        raise ValueError(f"invalid bind address ({text}): use unix:///PATH, tcp://HOST:PORT or fd://")
    return f"{scheme}://{rest}"


def mark(text: str) -> str:
    """A firewall mark, or a mark and a mask: ``0x10/0xf0``."""
    for part in text.split("/", 1):
        try:
            number = int(part, 0)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << 32:
            raise ValueError(f'invalid firewall mark "{text}": it must be MARK or MARK/MASK, of 32 bits')
    return text


def label(text: str) -> str:
    if "=" not in text:
        raise ValueError(f"bad attribute format: {text}")
    return text


def size(text: str) -> int:
    """Bytes."""
    try:
        return units.parse_size(text)
    except InvalidArgument as error:
        raise ValueError(error.message) from None


def mirror(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{text}"')
    if parts.query or parts.fragment:
        raise ValueError(f'invalid mirror: query or fragment at end of the URI "{text}"')
    return text if text.endswith("/") else text + "/"


def option(text: str) -> dict[str, str]:
    """``name=value``."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"invalid option ({text}): must be formatted 'name=value'")
    return {key: value}


def loose_option(text: str) -> dict[str, str]:
    """``name=value``, or a name alone."""
    key, _, value = text.partition("=")
    return {key: value}


def feature(text: str) -> dict[str, bool]:
    key, equals, value = text.partition("=")
    if equals and value.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"invalid boolean value for feature {key}: {value}")
    return {key: not equals or value.lower() in ("true", "1")}


def runtime(text: str) -> dict[str, Any]:
    """``name=path``."""
    key, equals, path = text.partition("=")
    if not equals or not key or not path:
        raise ValueError(f"invalid runtime argument: {text}")
    if key.lower() in RESERVED_RUNTIMES:
        raise ValueError(f"runtime name '{key}' is reserved")
    return {key.strip().lower(): {"path": path.strip()}}


def ulimit(text: str) -> dict[str, Any]:
    """``name=soft[:hard]``; -1 is no limit."""
    key, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if key not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {key}")
    soft, colon, hard = values.partition(":")
    try:
        numbers = int(soft), int(hard if colon else soft)
    except ValueError:
        raise ValueError(f"invalid ulimit argument: {text}") from None
    if numbers[0] > numbers[1] != -1 or (numbers[0] == -1 != numbers[1]):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {key: {"Name": key, "Soft": numbers[0], "Hard": numbers[1]}}


def address_pool(text: str) -> dict[str, Any]:
    """``base=CIDR,size=PREFIX``."""
    made: dict[str, Any] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if key not in ("base", "size"):
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        made[key] = value
    try:
        base, prefix = ipaddress.ip_network(made["base"], strict=False), int(made["size"])
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing in '{text}'") from None
    if not base.prefixlen <= prefix <= base.max_prefixlen:
        raise ValueError(f"invalid pool size {prefix} for {base}")
    return {"base": str(base), "size": prefix}


def network_option(text: str) -> dict[str, dict[str, str]]:
    """``driver=option=value``."""
    driver, equals, rest = text.partition("=")
    key, second, value = rest.partition("=")
    if not equals or not second:
        raise ValueError(f"invalid default network option {text}: it is driver=option=value")
    return {driver: {key: value}}


def generic_resource(text: str) -> str:
    if "=" not in text:
        raise ValueError(f"invalid node-generic-resource format `{text}` expected `name=value`")
    return text
