"""``cove version``"""

from __future__ import annotations

import os
import sys
import time

from cove import __version__
from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.failure import Failure, describe
from cove.cli.humanize import parse_rfc3339
from cove.cli.options import OBJECT_FORMAT
from cove.client.api import API_VERSION
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}

VALUES_AT = 20

_ENGINE_LINES = (
    ("Version", "Version"),
    ("API version", "ApiVersion"),
    ("Go version", "GoVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
)


def client_facts(api_version: str) -> dict[str, Any]:
    machine = os.uname()
    return {
        "Version": __version__,
        "ApiVersion": api_version,
        "DefaultAPIVersion": API_VERSION,
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": machine.sysname.lower(),
        "Arch": _MACHINES.get(machine.machine, machine.machine),
        "Context": "default",
    }


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    server: dict[str, Any] | None = None
    trouble = ""
    try:
        server = session.client.json("GET", "/version")
    except CoveError as error:
        trouble = describe(error)
    client = client_facts(session.client.version)
    _readable_dates(server or {})
    form = values.text("format")
    if form:
        try:
            render(session, form, {"Client": client, "Server": server}, "system.versionInfo", "version")
        except Failure:
            if not trouble:  # which is why there is no server to show
                raise
    else:
        session.stdout.write(_client_text(client) + (_server_text(server) if server else ""))
    if trouble:
        raise Failure(trouble)
    return 0


def render(session: Session, form: str, facts: dict[str, Any], type_name: str, name: str = "") -> None:
    """Print facts in the user's format; a template that fails while it runs leaves an empty line, as Docker's does."""
    from cove.cli.records import render_object

    try:
        session.print(render_object(form, facts, type_name, name))
    except Failure as failure:
        if failure.code == 1:
            session.print()
        raise


def _readable_dates(server: dict[str, Any]) -> None:
    """Build times as a person writes them: "Thu May  7 21:09:36 2026"."""
    for component in server.get("Components") or []:
        details = component.get("Details") or {}
        try:
            seconds, _ = parse_rfc3339(details.get("BuildTime", ""))
        except ValueError:
            continue
        details["BuildTime"] = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(seconds))


def _client_text(client: dict[str, Any]) -> str:
    api = client["ApiVersion"]
    if api != client["DefaultAPIVersion"]:
        api += f" (downgraded from {client['DefaultAPIVersion']})"
    rows = [
        ("Version", client["Version"]),
        ("API version", api),
        ("Python version", client["PythonVersion"]),
        ("OS/Arch", f"{client['Os']}/{client['Arch']}"),
        ("Context", client["Context"]),
    ]
    return "Client:\n" + _rows(rows, 1)


def _server_text(server: dict[str, Any]) -> str:
    platform = (server.get("Platform") or {}).get("Name", "")
    text = f"\nServer:{' ' + platform if platform else ''}\n"
    for component in server.get("Components") or [
        {"Name": "Engine", "Version": server.get("Version", ""), "Details": server}
    ]:
        details = component.get("Details") or {}
        text += f" {component['Name']}:\n"
        rows = _engine_rows(component, details) if component["Name"] == "Engine" else _part_rows(component, details)
        text += _rows(rows, 2)
    return text


def _engine_rows(component: dict[str, Any], details: dict[str, Any]) -> list[tuple[str, str]]:
    facts = {**details, "Version": component.get("Version", "")}
    facts["ApiVersion"] = f"{details.get('ApiVersion', '')} (minimum version {details.get('MinAPIVersion', '')})"
    rows = [(title, str(facts[key])) for title, key in _ENGINE_LINES if facts.get(key)]
    rows.append(("OS/Arch", f"{details.get('Os', '')}/{details.get('Arch', '')}"))
    if "Experimental" in details:
        rows.append(("Experimental", str(details["Experimental"]).lower()))
    return rows


def _part_rows(component: dict[str, Any], details: dict[str, Any]) -> list[tuple[str, str]]:
    return [("Version", component.get("Version", "")), *((key, str(value)) for key, value in sorted(details.items()))]


def _rows(rows: list[tuple[str, str]], indent: int) -> str:
    margin = " " * indent
    return "".join(f"{margin}{title + ':':<{VALUES_AT - indent}}{value}\n" for title, value in rows)


COMMAND = Command(_run, "[OPTIONS]", NO_ARGUMENTS, (OBJECT_FORMAT,))
