"""``state``, ``list`` and ``ps``."""

import os

from cove.lean import json
from cove.runtime.command.arguments import BOOL, TEXT, Flag, Refused, expect, flag
from cove.runtime.command.call import Call
from cove.runtime.command.container import Container, every, load

LIST_FLAGS: tuple[Flag, ...] = (
    flag("format,f", TEXT, "select one of: table or json", "table"),
    flag("quiet,q", BOOL, "display only container IDs"),
)
PS_FLAGS: tuple[Flag, ...] = (flag("format,f", TEXT, "select one of: table or json", "table"),)


def state(call: Call) -> int:
    """The state of a container, as JSON."""
    _values, words = call.parse(())
    expect(words, 1, 1, "state")
    fields = load(call.root, words[0]).state().items()
    print("{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in fields) + "\n}")
    return 0


def list_containers(call: Call) -> int:
    values, words = call.parse(LIST_FLAGS)
    expect(words, 0, 0, "list")
    found = every(call.root)
    if values["quiet"]:
        print("".join(f"{container.id}\n" for container in found), end="")
    elif values["format"] == "json":
        print(json.dumps([container.state() for container in found] or None))
    elif values["format"] == "table":
        print(_table(found), end="")
    else:
        raise Refused("invalid format option")
    return 0


def _table(found: list[Container]) -> str:
    rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
    for container in found:
        shown = container.state()
        rows.append(tuple(str(shown[key]) for key in ("id", "pid", "status", "bundle", "created", "owner")))  # type: ignore[arg-type]
    widths = [max(12, *(len(row[column]) + 3 for row in rows)) if column < 5 else 0 for column in range(6)]
    return "".join("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + "\n" for row in rows)


def ps(call: Call) -> int:
    """The processes of a container: their ids on the host, or what ps(1) says of them."""
    values, words = call.parse(PS_FLAGS)
    expect(words, 1, None, "ps")
    pids = load(call.root, words[0]).cgroup.pids()
    if values["format"] == "json":
        print(json.dumps(pids))
        return 0
    if values["format"] != "table":
        raise Refused("invalid format option")
    print(_processes(words[1:] or ["-ef"], pids), end="")
    return 0


def _processes(arguments: list[str], pids: list[int]) -> str:
    with os.popen("ps " + " ".join(f"'{word}'" for word in arguments if "'" not in word)) as output:
        lines = output.read().splitlines(keepends=True)
    if not lines or "PID" not in lines[0].split():
        raise Refused("couldn't find PID field in ps output")
    column = lines[0].split().index("PID")
    wanted = {str(pid) for pid in pids}
    return lines[0] + "".join(line for line in lines[1:] if line.split()[column] in wanted)
