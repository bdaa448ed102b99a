"""``hosts.toml``: mirrors of one registry, as containerd reads them (docs/hosts.md there)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cove.errors import InvalidArgument

NAME = "hosts.toml"
CAPABILITIES = ("pull", "resolve", "push")


class Host(NamedTuple):
    """``ca`` and ``client``: files, relative ones to the directory; of a client certificate the key may be in it."""

    url: str
    capabilities: tuple[str, ...]
    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()
    skip_verify: bool = False
    override_path: bool = False
    headers: Mapping[str, str] = {}


class Hosts(NamedTuple):
    """``server``: where the registry itself is, or empty. ``hosts``: asked before it, in this order."""

    server: str
    hosts: tuple[Host, ...]


def read(path: Path) -> Hosts | None:
    """The file, or None when there is none. Raises InvalidArgument naming the file and the key."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return _parsed(tomllib.loads(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"{path}: {error}") from error


def _parsed(table: Mapping[str, Any]) -> Hosts:
    server = table.get("server", "")
    return Hosts(
        _url("server", server) if server else "",
        tuple(_host(url, each) for url, each in table.get("host", {}).items()),
    )


def _host(url: str, table: Mapping[str, Any]) -> Host:
    capabilities = tuple(table.get("capabilities", CAPABILITIES))
    for name in capabilities:
        if name not in CAPABILITIES:
            raise ValueError(f"capabilities: {name!r} is not one of {', '.join(CAPABILITIES)}")
    return Host(
        _url("host", url),
        capabilities,
        ca=tuple(_list(table.get("ca", []))),
        client=tuple(_pair(each) for each in _list(table.get("client", []))),
        skip_verify=bool(table.get("skip_verify", False)),
        override_path=bool(table.get("override_path", False)),
        headers={name: ", ".join(_list(value)) for name, value in table.get("header", {}).items()},
    )


def _url(key: str, url: str) -> str:
    text = url if "://" in url else f"https://{url}"
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).netloc:
        raise ValueError(f"{key}: {url!r} is no http or https URL")
    return text


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _pair(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return value, ""
    certificate, key = value
    return certificate, key
