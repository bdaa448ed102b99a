"""``cove network``: ls, create, connect, disconnect, rm"""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command, at_least, exactly
from cove.cli.creation.kinds import ADDRESS, LABEL, LINK
from cove.cli.failure import Failure, describe
from cove.cli.formatter import config_format, show
from cove.cli.options import LIST_FORMAT, encode_filters, filters
from cove.cli.pools import address_pools
from cove.cli.view import View
from cove.errors import CoveError, NotFound
from cove.flags import BOOL, INT, MAP, STRING, STRINGS, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Item = dict[str, Any]


def network_view(truncate: bool) -> View:
    return View(
        "*network.networkContext",
        ("ID", "Name", "Driver", "Scope"),
        {
            "ID": ("NETWORK ID", lambda item: item["Id"][:12] if truncate else item["Id"]),
            "Name": ("NAME", lambda item: item["Name"]),
            "Driver": ("DRIVER", lambda item: item["Driver"]),
            "Scope": ("SCOPE", lambda item: item["Scope"]),
            "IPv4": ("IPV4", lambda item: _word(item.get("EnableIPv4"))),
            "IPv6": ("IPV6", lambda item: _word(item.get("EnableIPv6"))),
            "Internal": ("INTERNAL", lambda item: _word(item.get("Internal"))),
            "Labels": ("LABELS", lambda item: _pairs(item.get("Labels"))),
            "Label": ("", lambda item: lambda name: (item.get("Labels") or {}).get(name, "")),
            "CreatedAt": ("CREATED AT", _created),
        },
    )


def _word(value: Any) -> str:
    return "true" if value else "false"


def _pairs(labels: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in (labels or {}).items())


def _created(item: Item) -> str:
    from cove.cli.humanize import local_time, parse_rfc3339

    seconds, fraction = parse_rfc3339(item["Created"])
    fraction = fraction.rstrip("0")
    return local_time(seconds, f".{fraction}" if fraction else "")


def _ls(session: Session, values: Values, arguments: list[str]) -> int:
    items = session.client.json("GET", "/networks", {"filters": encode_filters(values.many("filter"))})
    items.sort(key=lambda item: _natural(item["Name"]))
    form = config_format(session, "networksFormat", values.text("format"), values.on("quiet"))
    show(session, network_view(not values.on("no-trunc")), items, form, quiet="ID" if values.on("quiet") else "")
    return 0


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Sorts "net2" before "net10"."""
    import re

    parts = re.findall(r"\d+|\D+", text)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _create(session: Session, values: Values, arguments: list[str]) -> int:
    if values.on("ingress") and not values.text("scope"):
        values.take(_SCOPE, "swarm")
    source = values.text("config-from")
    try:
        pools = address_pools(values)
    except ValueError as error:
        raise Failure(str(error)) from None
    body: Item = {
        "Name": arguments[0],
        "Driver": values.text("driver"),
        "Scope": values.text("scope"),
        "IPAM": {"Driver": values.text("ipam-driver"), "Options": dict(values.many("ipam-opt")), "Config": pools},
        "Internal": values.on("internal"),
        "Attachable": values.on("attachable"),
        "Ingress": values.on("ingress"),
        "ConfigOnly": values.on("config-only"),
        "ConfigFrom": {"Network": source} if source else None,
        "Options": dict(values.many("opt")),
        "Labels": dict(label.partition("=")[::2] for label in values.many("label")),
    }
    for flag, key in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if values.changed(flag):
            body[key] = values.on(flag)
    answer = session.client.json("POST", "/networks/create", body=body)
    if answer.get("Warning"):
        session.warn(f"WARNING: {answer['Warning']}")
    session.print(answer["Id"])
    return 0


def _connect(session: Session, values: Values, arguments: list[str]) -> int:
    network, container = arguments
    addresses = {
        key: values[flag]
        for key, flag in (("IPv4Address", "ip"), ("IPv6Address", "ip6"), ("LinkLocalIPs", "link-local-ip"))
        if values[flag]
    }
    endpoint = {
        "IPAMConfig": addresses,
        "Links": values.many("link") or None,
        "Aliases": values.many("alias") or None,
        "DriverOpts": dict(option.partition("=")[::2] for option in values.many("driver-opt")),
        "GwPriority": values.number("gw-priority"),
    }
    body = {"Container": container, "EndpointConfig": endpoint}
    session.client.json("POST", f"/networks/{network}/connect", body=body)
    return 0


def _disconnect(session: Session, values: Values, arguments: list[str]) -> int:
    network, container = arguments
    body = {"Container": container, "Force": values.on("force")}
    session.client.json("POST", f"/networks/{network}/disconnect", body=body)
    return 0


def _rm(session: Session, values: Values, arguments: list[str]) -> int:
    failed = False
    for name in arguments:
        try:
            session.client.json("DELETE", f"/networks/{name}")
        except NotFound as error:
            if not values.on("force"):
                session.warn(describe(error))
                failed = True
        except CoveError as error:
            session.warn(describe(error))
            failed = True
        else:
            session.print(name)
    if failed:
        raise Failure("exit status 1")
    return 0


_SCOPE = Flag("scope", STRING, "Control the network's scope")

LS = Command(
    _ls,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        filters('Provide filter values (e.g. "driver=bridge")'),
        LIST_FORMAT,
        Flag("no-trunc", BOOL, "Do not truncate the output"),
        Flag("quiet", BOOL, "Only display network IDs", "q"),
    ),
)
CREATE = Command(
    _create,
    "[OPTIONS] NETWORK",
    exactly(1),
    (
        Flag("attachable", BOOL, "Enable manual container attachment"),
        Flag("aux-address", MAP, "Auxiliary IPv4 or IPv6 addresses used by Network driver", shown="map[]"),
        Flag("config-from", STRING, "The network from which to copy the configuration"),
        Flag("config-only", BOOL, "Create a configuration only network"),
        Flag("driver", STRING, "Driver to manage the Network", "d", "bridge"),
        Flag("gateway", STRINGS, "IPv4 or IPv6 Gateway for the master subnet"),
        Flag("ingress", BOOL, "Create swarm routing-mesh network"),
        Flag("internal", BOOL, "Restrict external access to the network"),
        Flag("ip-range", STRINGS, "Allocate container ip from a sub-range"),
        Flag("ipam-driver", STRING, "IP Address Management Driver", default="default"),
        Flag("ipam-opt", MAP, "Set IPAM driver specific options", shown="map[]"),
        Flag("ipv4", BOOL, "Enable or disable IPv4 address assignment", default=True),
        Flag("ipv6", BOOL, "Enable or disable IPv6 address assignment"),
        Flag("label", LABEL, "Set metadata on a network"),
        Flag("opt", MAP, "Set driver specific options", "o", shown="map[]"),
        _SCOPE,
        Flag("subnet", STRINGS, "Subnet in CIDR format that represents a network segment"),
    ),
)
CONNECT = Command(
    _connect,
    "[OPTIONS] NETWORK CONTAINER",
    exactly(2),
    (
        Flag("alias", STRINGS, "Add network-scoped alias for the container"),
        Flag("driver-opt", STRINGS, "driver options for the network"),
        Flag(
            "gw-priority",
            INT,
            "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
        ),
        Flag("ip", ADDRESS, 'IPv4 address (e.g., "172.30.100.104")'),
        Flag("ip6", ADDRESS, 'IPv6 address (e.g., "2001:db8::33")'),
        Flag("link", LINK, "Add link to another container"),
        Flag("link-local-ip", STRINGS, "Add a link-local address for the container"),
    ),
)
DISCONNECT = Command(
    _disconnect,
    "[OPTIONS] NETWORK CONTAINER",
    exactly(2),
    (Flag("force", BOOL, "Force the container to disconnect from a network", "f"),),
)
RM = Command(
    _rm,
    "NETWORK [NETWORK...]",
    at_least(1),
    (Flag("force", BOOL, "Do not error if the network does not exist", "f"),),
)
