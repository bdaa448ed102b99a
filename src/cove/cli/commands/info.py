"""``cove info``"""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.commands.version import client_facts, render
from cove.cli.failure import Failure, describe
from cove.cli.humanize import memory
from cove.cli.options import OBJECT_FORMAT
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Facts = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    facts: Facts = {}
    trouble = ""
    try:
        facts = session.client.json("GET", "/info")
    except CoveError as error:
        trouble = describe(error)
    client = {"Debug": session.options.on("debug"), **client_facts(session.client.version)}
    form = values.text("format")
    if form:
        render(session, form, {**facts, "ClientInfo": client}, "system.dockerInfo")
    else:
        _pretty(session, client, facts)
    if trouble:
        raise Failure(f"ERROR: {trouble}\nerrors pretty printing info" if not form else trouble)
    return 0


def _pretty(session: Session, client: Facts, facts: Facts) -> None:
    lines = ["Client:", f" Version:    {client['Version']}", f" Context:    {client['Context']}"]
    lines += [f" Debug Mode: {_word(client['Debug'])}", "", "Server:"]
    if facts:
        lines += [*_counts(facts), *_plugins(facts), *_runtime(facts), *_machine(facts), *_registry(facts), ""]
    session.stdout.write("\n".join(lines) + "\n")
    for warning in facts.get("Warnings") or []:
        session.warn(warning)


def _word(value: object) -> str:
    return "true" if value else "false"


def _given(facts: Facts, *rows: tuple[str, str]) -> Iterator[str]:
    for title, key in rows:
        if facts.get(key):
            yield f" {title}: {facts[key]}"


def _counts(facts: Facts) -> Iterator[str]:
    yield f" Containers: {facts.get('Containers', 0)}"
    for state in ("Running", "Paused", "Stopped"):
        yield f"  {state}: {facts.get(f'Containers{state}', 0)}"
    yield f" Images: {facts.get('Images', 0)}"
    yield from _given(facts, ("Server Version", "ServerVersion"), ("Storage Driver", "Driver"))
    yield from (f"  {pair[0]}: {pair[1]}" for pair in facts.get("DriverStatus") or [])
    yield from _given(
        facts,
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    )


def _plugins(facts: Facts) -> Iterator[str]:
    plugins = facts.get("Plugins") or {}
    yield " Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        if kind != "Authorization" or plugins.get(kind):
            yield f"  {kind}: {' '.join(plugins.get(kind) or [])}"
    if facts.get("CDISpecDirs"):
        yield " CDI spec directories:"
        yield from (f"  {directory}" for directory in facts["CDISpecDirs"])
    if facts.get("DiscoveredDevices"):
        yield " Discovered Devices:"
        yield from (f"  {device['Source']}: {device['ID']}" for device in facts["DiscoveredDevices"])
    yield f" Swarm: {(facts.get('Swarm') or {}).get('LocalNodeState', '')}"


def _runtime(facts: Facts) -> Iterator[str]:
    if facts.get("Runtimes"):
        yield f" Runtimes: {' '.join(facts['Runtimes'])}"
        yield f" Default Runtime: {facts.get('DefaultRuntime', '')}"
    if facts.get("OSType") != "linux":
        return
    yield f" Init Binary: {facts.get('InitBinary', '')}"
    for name, key in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        yield f" {name} version: {(facts.get(key) or {}).get('ID', '')}"
    if facts.get("SecurityOptions"):
        yield " Security Options:"
        for option in facts["SecurityOptions"]:
            pairs = [tuple(part.partition("=")[::2]) for part in option.split(",")]
            yield f"  {dict(pairs).get('name', option)}"
            yield from (f"   Profile: {value}" for key, value in pairs if key == "profile")


def _machine(facts: Facts) -> Iterator[str]:
    yield from _given(
        facts,
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    )
    yield f" CPUs: {facts.get('NCPU', 0)}"
    yield f" Total Memory: {memory(facts.get('MemTotal', 0))}"
    yield from _given(facts, ("Name", "Name"), ("ID", "ID"))
    yield f" Docker Root Dir: {facts.get('DockerRootDir', '')}"
    yield f" Debug Mode: {_word(facts.get('Debug'))}"
    if facts.get("Debug"):
        yield f"  File Descriptors: {facts.get('NFd', 0)}"
        yield f"  Goroutines: {facts.get('NGoroutines', 0)}"
        yield f"  System Time: {facts.get('SystemTime', '')}"
        yield f"  EventsListeners: {facts.get('NEventsListener', 0)}"
    yield from _given(facts, ("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy"))
    if facts.get("Labels"):
        yield " Labels:"
        yield from (f"  {label}" for label in facts["Labels"])
    yield f" Experimental: {_word(facts.get('ExperimentalBuild'))}"


def _registry(facts: Facts) -> Iterator[str]:
    registry = facts.get("RegistryConfig") or {}
    indexes, networks = registry.get("IndexConfigs") or {}, registry.get("InsecureRegistryCIDRs") or []
    if indexes or networks:
        yield " Insecure Registries:"
        yield from (f"  {index['Name']}" for index in indexes.values() if not index.get("Secure"))
        yield from (f"  {network}" for network in networks)
    if registry.get("Mirrors"):
        yield " Registry Mirrors:"
        yield from (f"  {mirror}" for mirror in registry["Mirrors"])
    yield f" Live Restore Enabled: {_word(facts.get('LiveRestoreEnabled'))}"
    if facts.get("DefaultAddressPools"):
        yield " Default Address Pools:"
        yield from (f"   Base: {pool['Base']}, Size: {pool['Size']}" for pool in facts["DefaultAddressPools"])
    if firewall := facts.get("FirewallBackend"):
        yield f" Firewall Backend: {firewall['Driver']}"
        yield from (f"  {name}: {value}" for name, value in firewall.get("Info") or ())


COMMAND = Command(_run, "[OPTIONS]", NO_ARGUMENTS, (OBJECT_FORMAT,))
