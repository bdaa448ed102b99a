"""A further process in a running container (an exec), from the fork in the shim to execve."""

import os

from cove.kernel import processes
from cove.kernel.cgroups import Cgroup
from cove.lean import NoReturn, socket
from cove.oci.runtime import Process
from cove.runtime import channel as channels
from cove.runtime import namespaces, process, user
from cove.runtime.channel import Console
from cove.runtime.confinement import Confinement
from cove.runtime.manner import PLAIN, Manner
from cove.runtime.namespaces import Target
from cove.runtime.process import Stdio


def main(
    target: Target,
    wanted: Process,
    cgroup: Cgroup,
    stdio: Stdio,
    channel: socket.socket,
    confinement: Confinement | None = None,
    manner: Manner = PLAIN,
) -> NoReturn:
    """Become ``wanted`` in the container of ``target``. Called in a child that was just forked; never returns.

    As ``init.main``: closes every descriptor but its own, ends in execve, or sends Failure and exits with its code.
    Sends Console when the process has a terminal. Does not wait for anything on the channel.
    """
    try:
        _start(target, wanted, cgroup, stdio, channel, confinement, manner)
    except BaseException as error:
        process.fail(channel, error)


def _start(
    target: Target,
    wanted: Process,
    cgroup: Cgroup,
    stdio: Stdio,
    channel: socket.socket,
    confinement: Confinement | None,
    manner: Manner,
) -> NoReturn:
    if target.user is not None:
        from cove.runtime import mappings  # now, as nothing can be imported any more once it is needed
    kept = [*range(3, 3 + manner.preserved), *(entry for entry in target if entry is not None)]
    stdio = process.detach_from_shim(channel, stdio, kept)
    _join_cgroup(cgroup, wanted)
    process.set_oom_score(wanted)
    process.schedule_process(wanted)
    labels = process.open_labels(wanted)
    if target.user is not None:
        process.raise_limits(wanted)
    namespaces.join(target)
    if target.user is not None:
        mappings.become_root()
    if manner.keyring:
        processes.new_session_keyring()
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    terminal = _make_terminal(root, wanted, channel)
    process.set_streams(stdio, terminal)
    process.enter_directory(root, wanted["cwd"], create=False)
    identity = user.resolve(root, wanted.get("user", {}))
    process.become(wanted, identity, confined=confinement is not None)
    if labels is not None:
        labels.apply()
    if not manner.tied:
        processes.set_parent_death_signal(0)
    variables = process.environment(wanted, identity)
    program = process.find(wanted, variables)
    process.confine(wanted, confinement, channel, manner.preserved)
    process.execute(program, wanted, variables)


def _join_cgroup(cgroup: Cgroup, wanted: Process) -> None:
    affinity = wanted.get("execCPUAffinity")
    if not affinity:
        cgroup.join()
        return
    from cove.runtime import scheduling

    scheduling.set_affinity("process.execCPUAffinity.initial", affinity.get("initial"))
    cgroup.join()
    scheduling.set_affinity("process.execCPUAffinity.final", affinity.get("final"))


def _make_terminal(root: int, wanted: Process, channel: socket.socket) -> int | None:
    if not wanted.get("terminal"):
        return None
    master, slave = process.open_terminal(root, wanted)
    channels.send(channel, Console(), master)
    os.close(master)
    return slave
