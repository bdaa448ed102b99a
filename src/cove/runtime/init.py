"""A container's first process, from the fork in the shim to execve.

``channel`` draws who says what to whom. The order of the steps below is the security of it: descriptors are closed
before anything of the container is touched, the control group is joined while its files are still reachable, sources
of binds are opened before pivot_root, /proc is written before it is made read-only, and rights are dropped last.
"""

import os
import socket
from typing import NoReturn

from cove.kernel import layer_images, mounts, paths, processes
from cove.kernel import namespaces as kernel_namespaces
from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Spec
from cove.runtime import cgroup as control_groups
from cove.runtime import channel as channels
from cove.runtime import links, namespaces, pid1, process, rootfs, seal, user
from cove.runtime.channel import Console, Interfaces, Namespaces
from cove.runtime.confinement import Confinement
from cove.runtime.messages import StartShim
from cove.runtime.process import CannotStart, Stdio


def main(
    spec: Spec,
    start: StartShim,
    cgroup: Cgroup,
    stdio: Stdio,
    channel: socket.socket,
    confinement: Confinement | None = None,
) -> NoReturn:
    """Become the container's program. Called in a child that was just forked; never returns and never raises.

    The shim has called ``namespaces.enter_pid`` before the fork. ``cgroup`` need not exist yet. ``channel`` is
    the child's end of ``channel.pair()``; every other descriptor but ``stdio`` is closed first, the shim's end
    included, so the shim need not close anything in the child. Ends in execve, or sends Failure and exits with
    its code. With ``start.init`` the process stays as pid 1 and the program is its child.
    """
    try:
        _start(spec, start, cgroup, stdio, channel, confinement)
    except BaseException as error:
        process.fail(channel, error)


def _start(
    spec: Spec,
    start: StartShim,
    cgroup: Cgroup,
    stdio: Stdio,
    channel: socket.socket,
    confinement: Confinement | None,
) -> NoReturn:
    layers = layer_images.forget_others(start.root["lower"] if start.root is not None else ())
    stdio = process.detach_from_shim(channel, stdio, layers)
    _enter_cgroup(spec, cgroup)
    process.set_oom_score(spec["process"])
    _isolate(spec, channel)
    root = _make_root(spec, start, cgroup)
    layer_images.forget_all()
    terminal = _make_terminal(spec, root, channel)
    if start.await_network:
        _set_up_network(channel)
    else:
        _set_up_loopback(spec)
    _close_off(spec, root)
    process.set_streams(stdio, terminal)
    process.enter_directory(root, spec["process"]["cwd"], create=True)
    _execute(spec, start, root, channel, confinement)


def _enter_cgroup(spec: Spec, cgroup: Cgroup) -> None:
    try:
        control_groups.create(cgroup.path, spec.get("linux", {}).get("resources", {}))
        cgroup.join()
    except OSError as error:
        raise CannotStart(process.CANNOT_START, str(error)) from None


def _isolate(spec: Spec, channel: socket.socket) -> None:
    processes.new_session_keyring()
    namespaces.create(spec)
    with open("/proc/self/ns/net", "rb", buffering=0) as network:
        channels.send(channel, Namespaces(), network.fileno())
    if namespaces.paths(spec).get("uts") == "":
        if spec.get("hostname"):
            kernel_namespaces.set_hostname(spec["hostname"])
        if spec.get("domainname"):
            kernel_namespaces.set_domainname(spec["domainname"])


def _make_root(spec: Spec, start: StartShim, cgroup: Cgroup) -> int:
    """Mount and furnish the root, and make it this process's; a descriptor of it."""
    rootfs.isolate(spec)
    os.umask(0)
    root = rootfs.mount_root(start.root, spec["root"]["path"])
    for operation in rootfs.plan(spec, cgroup.layout, cgroup.path):
        operation.apply(root)
    mounts.pivot_root(root)
    return root


def _make_terminal(spec: Spec, root: int, channel: socket.socket) -> int | None:
    if not spec["process"].get("terminal"):
        return None
    master, slave = process.open_terminal(root, spec["process"])
    place = paths.make_file(root, "/dev/console", 0o600)
    console = mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH, slave)
    mounts.attach(console, place)
    channels.send(channel, Console(), master)
    for descriptor in (master, place, console):
        os.close(descriptor)
    return slave


def _set_up_network(channel: socket.socket) -> None:
    message = channels.receive(channel)
    if message is None:
        raise CannotStart(process.CANNOT_START, "the start was cancelled")
    interfaces = message[0]
    if not isinstance(interfaces, Interfaces):
        raise CannotStart(process.CANNOT_START, f"unexpected {type(interfaces).__name__} on the channel")
    links.set_up(interfaces.interfaces)


def _set_up_loopback(spec: Spec) -> None:
    """Only in a namespace that is new; one that is shared belongs to who made it."""
    if namespaces.paths(spec).get("network") == "":
        links.set_up([])


def _close_off(spec: Spec, root: int) -> None:
    for operation in seal.plan(spec):
        operation.apply(root)


def _execute(
    spec: Spec, start: StartShim, root: int, channel: socket.socket, confinement: Confinement | None
) -> NoReturn:
    wanted = spec["process"]
    identity = user.resolve(root, wanted.get("user", {}))
    os.close(root)
    process.become(wanted, identity, confined=confinement is not None)
    variables = process.environment(wanted, identity)
    program = process.find(wanted, variables)
    process.confine(wanted, confinement, channel)
    if start.init:
        pid1.stay(wanted.get("terminal", False), channel)
    process.execute(program, wanted, variables)
