"""``kill`` and ``delete``."""

import os

from cove.lean import signal
from cove.runtime import namespaces
from cove.runtime.command.arguments import BOOL, Flag, Refused, expect, flag, parse
from cove.runtime.command.call import Call
from cove.runtime.command.container import Container, Failed, load
from cove.runtime.command.journal import Journal

KILL_FLAGS: tuple[Flag, ...] = (flag("all,a", BOOL, "send the specified signal to all processes inside the container"),)
DELETE_FLAGS: tuple[Flag, ...] = (flag("force,f", BOOL, "forcibly deletes the container if it is still running"),)


def kill(call: Call) -> int:
    """Send a signal to init, or with --all, or where init's end is not that of all, to every process."""
    values, words = call.parse(KILL_FLAGS)
    expect(words, 1, 3, "kill")
    later, words = parse(KILL_FLAGS, [*words[1:], words[0]] if words[1:] and words[-1].startswith("-") else words)
    everyone = values["all"] or later["all"]
    container = load(call.root, words[0])
    number = signal_number(words[1] if len(words) > 1 else "SIGTERM")
    if everyone or (number == signal.SIGKILL and not namespaces.owns_pid(container.spec)):
        _signal_all(container, number)
    else:
        container.signal(number)
    return 0


def _signal_all(container: Container, number: int) -> None:
    pids = container.cgroup.pids()
    if number == signal.SIGKILL:
        container.cgroup.kill()
        return
    if not pids and not container.alive:
        raise Failed("container not running")
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def signal_number(word: str) -> int:
    """``9``, ``KILL`` or ``SIGKILL``, in any case. Raises Refused."""
    if word.isdecimal():
        return int(word)
    name = word.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    found = getattr(signal, name, None)
    if isinstance(found, int) and not name.startswith("SIG_"):
        return int(found)
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    anchor = {"SIGRTMIN": signal.SIGRTMIN, "SIGRTMAX": signal.SIGRTMAX}.get(base)
    if anchor is not None and sign and offset.isdecimal():
        return int(anchor) + (int(offset) if sign == "+" else -int(offset))
    raise Refused(f"unknown signal {word!r}")


def delete(call: Call) -> int:
    """Remove a container that has stopped, or that was never started; with --force, whatever it does."""
    values, words = call.parse(DELETE_FLAGS)
    if words and words[-1] in ("--force", "-f"):  # as some callers have it
        values["force"] = True
        words.pop()
    expect(words, 1, 1, "delete")
    try:
        container = load(call.root, words[0])
    except Failed:
        if not values["force"]:
            raise
        Container(call.root, words[0], {}).remove_directory()  # one that was never finished
        return 0
    status = container.status()
    if status not in ("stopped", "created") and not values["force"]:
        raise Failed(f"cannot delete container {container.id} that is not stopped: {status}")
    if status != "stopped":
        container.kill_all()
    destroy(container, call.journal)
    return 0


def destroy(container: Container, journal: Journal) -> None:
    """Leave nothing of a container; its hooks are run at the end."""
    spec = container.spec
    container.kill_all()
    container.forget()
    if not spec.get("hooks"):
        return
    from cove.runtime import hooks

    life = hooks.Life(container.id, container.record["bundle"])
    for failure in hooks.run_all(spec, "poststop", life.state(spec, "stopped", 0), container.record["bundle"]):
        journal.warning(failure)
