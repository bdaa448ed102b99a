"""``cove network graph``: networks, containers, ports and ways out, as text or as an SVG picture."""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.options import OBJECT_FORMAT
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Json = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    graph = session.client.json("GET", "/cove/network/graph")
    if not values.on("all"):
        _drop_stopped(graph)
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, graph, "network.Graph"))
    elif values.on("svg"):
        from cove.cli.network_picture import picture

        session.print(picture(graph))
    else:
        session.print("\n".join(_lines(graph)))
    return 0


def _drop_stopped(graph: Json) -> None:
    """Leave what runs, and networks with or without it."""
    graph["Containers"] = [item for item in graph["Containers"] if item["Status"] in ("running", "paused")]
    there = {item["Id"] for item in graph["Containers"]}
    for network in graph["Networks"]:
        network["Members"] = [member for member in network["Members"] if member["Container"] in there]


def _lines(graph: Json) -> Iterator[str]:
    containers = {item["Id"]: item for item in graph["Containers"]}
    for network in graph["Networks"]:
        members = network["Members"]
        if not members and network["Name"] in ("host", "none"):
            continue
        yield _heading(network)
        for number, member in enumerate(members, 1):
            branch = "└─" if number == len(members) else "├─"
            yield f"{branch} {_member(member, containers[member['Container']])}"
    sharing = [item for item in graph["Containers"] if item["NetworkMode"].startswith("container:")]
    for item in sharing:
        other = item["NetworkMode"].partition(":")[2]
        yield f"{item['Name']}  in the network of {containers.get(other, {}).get('Name', other[:12])}"


def _heading(network: Json) -> str:
    words = [network["Driver"], *network["Subnets"]]
    words += ["internal"] if network["Internal"] else []
    words += [] if network["Icc"] else ["containers do not talk"]
    words += [network["Link"]] if network["Link"] else []
    return f"{network['Name']}  ({', '.join(words)})"


def _member(member: Json, container: Json) -> str:
    words = [member["Name"], *member["Addresses"], *container["Ports"]]
    words += [f"egress {container['Egress']}"] if container["Egress"] != "none" else []
    words += [f"({container['Status']})"] if container["Status"] != "running" else []
    return "  ".join(words)


COMMAND = Command(
    _run,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        Flag("all", BOOL, "Show containers that do not run too", "a"),
        OBJECT_FORMAT,
        Flag("svg", BOOL, "Draw an SVG picture"),
    ),
    long="Show networks with their containers, published ports and egress policies",
)
