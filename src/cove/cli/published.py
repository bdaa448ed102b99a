"""How a container's ports are written in a list: neighbours as ranges, the published ones with where they lead."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Port = dict[str, Any]
    Run = tuple[int, int, str]


def summary(ports: list[Port]) -> str:
    """``0.0.0.0:8080-8081->80-81/tcp, 90/udp`` from the API's list of ports."""
    runs: dict[str, tuple[int, int]] = {}
    mappings: list[str] = []
    single: list[str] = []
    for port in sorted(ports, key=_order):
        private, public = port["PrivatePort"], port.get("PublicPort", 0)
        key, current = port["Type"], private
        if address := port.get("IP", ""):
            if public != private:
                single.append(f"{bracketed(address)}:{public}->{private}/{port['Type']}")
                continue
            key, current = f"{bracketed(address)}/{port['Type']}", public
        first, last = runs.get(key, (0, 0))
        if not first:
            runs[key] = (current, current)
        elif current in (last, last + 1):
            runs[key] = (first, current)
        else:
            mappings.append(_run(key, first, last))
            runs[key] = (current, current)
    mappings += [_run(key, *run) for key, run in sorted(runs.items())]
    return ", ".join([*mappings, *single])


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _order(port: Port) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"]


def _run(key: str, first: int, last: int) -> str:
    address, slash, protocol = key.rpartition("/")
    group = str(first) if first == last else f"{first}-{last}"
    return f"{address}:{group}->{group}/{protocol}" if slash else f"{group}/{protocol}"
