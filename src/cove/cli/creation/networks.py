"""``--network`` with its options, and the older flags that say the same of the first network."""

from __future__ import annotations

import re

from cove.flags import Kind, parse_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.flags import Values

    Attachment = dict[str, Any]

_LONG_FORM = re.compile(r"\w+=\w+(,\w+=\w+)*")
_NOT_USER_DEFINED = ("default", "bridge", "host", "none")


def parse_network(text: str) -> Attachment:
    """``name`` or ``name=net,alias=a,ip=…`` as a mapping with the keys of ``_empty``. Raises ValueError."""
    attachment = _empty()
    if not _LONG_FORM.search(text):
        attachment["name"] = text
        return attachment
    for field in parse_fields(text):
        key, equals, value = field.lower().partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            raise ValueError(f"invalid field {field}")
        if key in ("alias", "link-local-ip"):
            attachment[key].append(value)
        elif key in ("name", "ip", "ip6", "mac-address"):
            attachment[key] = value
        elif key == "driver-opt":
            name, equals, setting = value.partition("=")
            if not equals or not name:
                raise ValueError("invalid key value pair format in driver options")
            attachment[key][name.strip()] = setting.strip()
        elif key == "gw-priority":
            attachment[key] = _priority(value)
        else:
            raise ValueError(f"invalid field key {key}")
    if not attachment["name"]:
        raise ValueError("network name/id is not specified")
    return attachment


def _empty() -> Attachment:
    return {
        "name": "",
        "alias": [],
        "link": [],
        "ip": "",
        "ip6": "",
        "mac-address": "",
        "link-local-ip": [],
        "driver-opt": {},
        "gw-priority": 0,
    }


def _priority(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"invalid gw-priority ({value}): invalid syntax") from None


def is_user_defined(name: str) -> bool:
    return name not in _NOT_USER_DEFINED and not name.startswith("container:")


def network_mode(values: Values) -> str:
    attachments = values.many("network")
    return attachments[0]["name"] if attachments else "default"


def endpoints(values: Values) -> dict[str, dict[str, Any]]:
    """The API's EndpointsConfig. Raises ValueError for what does not go together."""
    attachments = values.many("network")
    if not attachments:
        default = _empty()
        default["name"] = "default"
        return {"default": _endpoint(_with_flags(default, values))}
    found: dict[str, dict[str, Any]] = {}
    kinds = {is_user_defined(attachment["name"]) for attachment in attachments}
    for place, attachment in enumerate(attachments):
        name = attachment["name"]
        endpoint = _endpoint(_with_flags(attachment, values) if place == 0 else attachment)
        if name in found:
            raise ValueError(f'network "{name}" is specified multiple times')
        if len(attachments) > 1 or endpoint != _endpoint({**_empty(), "name": name}):
            found[name] = endpoint
    if len(kinds) > 1:
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return found


_OLDER = (
    ("alias", "network-alias", "per-network alias"),
    ("link", "link", "per-network links"),
    ("ip", "ip", "per-network IPv4 address"),
    ("ip6", "ip6", "per-network IPv6 address"),
    ("mac-address", "mac-address", "per-network MAC address"),
    ("link-local-ip", "link-local-ip", "per-network link-local IP addresses"),
)


def _with_flags(attachment: Attachment, values: Values) -> Attachment:
    """An attachment with what ``--network-alias``, ``--ip`` and the like say of it."""
    merged = dict(attachment)
    for key, flag, words in _OLDER:
        given = values[flag]
        if given and attachment[key]:
            raise ValueError(f"conflicting options: cannot specify both --{flag} and {words}")
        # On the default bridge a link is a legacy link, which belongs to the host configuration.
        if given and (key != "link" or is_user_defined(attachment["name"])):
            merged[key] = given
    return merged


def _endpoint(attachment: Attachment) -> dict[str, Any]:
    if not attachment["name"].strip():
        raise ValueError("no name set for network")
    if not is_user_defined(attachment["name"]):
        if attachment["alias"]:
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        if attachment["link"]:
            raise ValueError("links are only supported for user-defined networks")
    return {
        "IPAMConfig": _addresses(attachment),
        "Links": attachment["link"] or None,
        "Aliases": attachment["alias"] or None,
        "MacAddress": attachment["mac-address"].strip(),
        "DriverOpts": attachment["driver-opt"] or None,
        "GwPriority": attachment["gw-priority"],
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def _addresses(attachment: Attachment) -> dict[str, Any] | None:
    pairs = (("IPv4Address", "ip"), ("IPv6Address", "ip6"), ("LinkLocalIPs", "link-local-ip"))
    found = {name: attachment[key] for name, key in pairs if attachment[key]}
    return found or None


NETWORK = Kind("network", parse_network, [], "append")
