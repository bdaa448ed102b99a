"""``cove port``"""

from __future__ import annotations

from cove.cli.command import Arguments, Command
from cove.cli.creation.ports import port_range
from cove.cli.failure import Failure
from cove.cli.published import bracketed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

    Bindings = dict[str, list[dict[str, str]] | None]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.client.json("GET", f"/containers/{arguments[0]}/json")
    ports: Bindings = found["NetworkSettings"].get("Ports") or {}
    lines = _one(ports, *arguments) if len(arguments) > 1 else _all(ports)
    session.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _one(ports: Bindings, name: str, wanted: str) -> list[str]:
    number, _, protocol = wanted.partition("/")
    try:
        port_range(number)
    except ValueError as error:
        raise Failure(f"invalid port '{number}': {error}") from None
    bindings = ports.get(f"{number}/{(protocol or 'tcp').lower()}")
    if not bindings:
        raise Failure(f"Error: No public port '{wanted}' published for {name}")
    return [_target(binding) for binding in bindings]


def _all(ports: Bindings) -> list[str]:
    return [
        f"{port} -> {_target(binding)}"
        for port in sorted(ports, key=lambda port: (int(port.partition("/")[0]), port))
        for binding in ports[port] or []
    ]


def _target(binding: dict[str, str]) -> str:
    return f"{bracketed(binding.get('HostIp') or '0.0.0.0')}:{binding.get('HostPort', '')}"


COMMAND = Command(_run, "CONTAINER [PRIVATE_PORT[/PROTO]]", Arguments(1, 2))
