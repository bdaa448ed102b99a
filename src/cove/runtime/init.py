"""A container's first process, from the fork in the shim to execve.

``channel`` draws who says what to whom. The order of the steps below is the security of it: descriptors are closed
before anything of the container is touched, the control group is joined while its files are still reachable, sources
of binds are opened before pivot_root, /proc is written before it is made read-only, and rights are dropped last.
"""

import os

from cove.kernel import layer_images, mounts, paths, processes
from cove.kernel import namespaces as kernel_namespaces
from cove.kernel.cgroups import Cgroup
from cove.lean import TYPE_CHECKING, Any, NamedTuple, NoReturn, socket
from cove.oci.runtime import Spec
from cove.runtime import cgroup as control_groups
from cove.runtime import channel as channels
from cove.runtime import links, namespaces, pid1, process, rootfs, seal, user
from cove.runtime.channel import Console, Failure, HooksDue, Interfaces, Moved, Namespaces, Ready
from cove.runtime.confinement import Confinement
from cove.runtime.manner import PLAIN, Beginning, Gate, Manner
from cove.runtime.process import CannotStart, Stdio

if TYPE_CHECKING:
    from cove.runtime.labels import Labels


def main(
    spec: Spec,
    start: Beginning,
    cgroup: Cgroup,
    stdio: Stdio,
    channel: socket.socket,
    confinement: Confinement | None = None,
    manner: Manner = PLAIN,
) -> NoReturn:
    """Become the container's program. Called in a child that was just forked; never returns and never raises.

    The parent has called ``rare.load`` and ``namespaces.enter_pid`` before the fork. ``cgroup`` need not exist yet.
    ``channel`` is the child's end of ``channel.pair()``; every other descriptor but ``stdio`` is closed first, the
    shim's end included, so the shim need not close anything in the child. Ends in execve, or sends Failure and exits
    with its code. With ``start.init`` the process stays as pid 1 and the program is its child.
    """
    try:
        _start(spec, start, cgroup, stdio, channel, confinement, manner)
    except BaseException as error:
        process.fail(channel, error)


def _start(
    spec: Spec,
    start: Beginning,
    cgroup: Cgroup,
    stdio: Stdio,
    channel: socket.socket,
    confinement: Confinement | None,
    manner: Manner,
) -> NoReturn:
    layers = layer_images.forget_others(start.root["lower"] if start.root is not None else ())
    stdio = process.detach_from_shim(channel, stdio, [*layers, *_kept_mappings(start), *_kept(manner)])
    if start.staged:
        _stage(start)
    _enter_cgroup(spec, cgroup)
    process.set_oom_score(spec["process"])
    process.schedule(spec)
    opened = _isolate(spec, start, channel, manner)
    root = _furnish(spec, start, cgroup, opened)
    layer_images.forget_all()
    labels = process.open_labels(spec["process"])
    early = bool(spec.get("hooks"))  # their answer and the links come on one channel: one after the other
    if early:
        _connect(spec, start, channel)
    _run_hooks(spec, start, channel)
    if manner.pivot:
        mounts.pivot_root(root)
    else:
        mounts.move_to_root(root)
    rootfs.propagate(root, spec)
    terminal = _make_terminal(spec, root, channel)
    if not early:
        _connect(spec, start, channel)
    _close_off(spec, root)
    process.set_streams(stdio, terminal)
    process.enter_directory(root, spec["process"]["cwd"], create=True)
    _Program(spec, start, channel, confinement, manner).become(root, labels)


def _kept(manner: Manner) -> list[int]:
    return [*range(3, 3 + manner.preserved), *(manner.gate or ())]


def _kept_mappings(start: Beginning) -> list[int]:
    if start.root is None or not start.root.get("mappings"):
        return []
    from cove.runtime import mappings

    return mappings.kept()


def _enter_cgroup(spec: Spec, cgroup: Cgroup) -> None:
    try:
        control_groups.create(cgroup, spec.get("linux", {}).get("resources", {}))
        cgroup.join()
    except OSError as error:
        raise CannotStart(process.CANNOT_START, str(error)) from None


class _Opened(NamedTuple):
    """What had to be mounted with the rights of the host: the root, and sources of mounts by their number."""

    root: int | None = None
    sources: dict[int, int] = {}  # noqa: RUF012


def _isolate(spec: Spec, start: Beginning, channel: socket.socket, manner: Manner) -> _Opened:
    """Leave the host's namespaces."""
    opened = _Opened()
    if "user" in namespaces.paths(spec):
        opened = _open(spec, start)
        process.raise_limits(spec["process"])
        _enter_user(spec, channel)
        namespaces.create_in_user(spec)
    else:
        namespaces.create(spec)
    if manner.keyring:
        processes.new_session_keyring()
    with open("/proc/self/ns/net", "rb", buffering=0) as network:
        channels.send(channel, Namespaces(), network.fileno())
    if namespaces.paths(spec).get("uts") == "":
        if spec.get("hostname"):
            kernel_namespaces.set_hostname(spec["hostname"])
        if spec.get("domainname"):
            kernel_namespaces.set_domainname(spec["domainname"])
    return opened


def _open(spec: Spec, start: Beginning) -> _Opened:
    """Before a user namespace is entered, whose root may reach nothing of it."""
    if start.root is None or "mappings" not in start.root:
        return _Opened(None, rootfs.open_sources(spec))
    root = rootfs.mount_mapped(start.root)
    _match_owners(spec, root)
    return _Opened(root, rootfs.open_sources(spec))


def _match_owners(spec: Spec, root: int) -> None:
    if any(entry.get("matchUser") for entry in spec.get("mounts", [])):
        from cove.runtime import owners

        owners.match(spec, root)


def _stage(start: Beginning) -> None:
    """In a mount namespace that the container's is a copy of; before the control group, which may deny the device."""
    from cove.kernel import staged_mounts

    kernel_namespaces.unshare(["mount"])
    mounts.set_propagation("/", mounts.SLAVE)
    mapped = None
    if start.root is not None and "mappings" in start.root:
        from cove.runtime import mappings

        mapped = mappings.for_mounts(start.root["mappings"])
    staged_mounts.attach_all([staged_mounts.StagedMount(*fields) for fields in start.staged], mapped)


def _enter_user(spec: Spec, channel: socket.socket) -> None:
    """Go on in a child, which is in the new user namespace and in pid and time namespaces that belong to it."""
    me = os.pidfd_open(os.getpid())
    pid = namespaces.enter_user(spec)
    if pid is not None:
        channels.send(channel, Moved(pid))
        os._exit(0)
    processes.await_end(me)
    os.close(me)


def _furnish(spec: Spec, start: Beginning, cgroup: Cgroup, opened: _Opened) -> int:
    """Mount and furnish the root; a descriptor of it."""
    rootfs.isolate(spec)
    os.umask(0)
    if opened.root is None:
        root = rootfs.mount_root(start.root, spec["root"]["path"])
    else:
        root = rootfs.attach_mapped(opened.root)
    _match_owners(spec, root)
    for operation in rootfs.plan(spec, cgroup.layout, cgroup.path, opened.sources):
        operation.apply(root)
    return root


def _run_hooks(spec: Spec, start: Beginning, channel: socket.socket) -> None:
    """The runtime's by the parent, then the container's here, where it is still seen what the host has."""
    if not spec.get("hooks"):
        return
    from cove.runtime import hooks

    if hooks.wanted(spec, *hooks.IN_RUNTIME):
        channels.send(channel, HooksDue())
        answer = channels.receive(channel)
        if answer is None or isinstance(answer[0], Failure):
            words = answer[0].message if answer is not None and isinstance(answer[0], Failure) else "no answer"
            raise CannotStart(process.CANNOT_START, words)
    life = hooks.Life(start.container_id, start.run_dir)
    _run_own_hooks(spec, "createContainer", life.state(spec, "creating", os.getpid()))


def _run_own_hooks(spec: Spec, name: str, state: dict[str, Any]) -> None:
    from cove.runtime import hooks

    try:
        hooks.run(spec, (name,), state)
    except hooks.HookFailed as error:
        raise CannotStart(process.CANNOT_START, str(error)) from None


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


def _connect(spec: Spec, start: Beginning, channel: socket.socket) -> None:
    if start.await_network:
        _set_up_network(channel)
    else:
        _set_up_loopback(spec)


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


class _Program(NamedTuple):
    """The last steps to the program, from a root that is furnished and closed off."""

    spec: Spec
    start: Beginning
    channel: socket.socket
    confinement: Confinement | None
    manner: Manner

    def become(self, root: int, labels: "Labels | None") -> NoReturn:
        wanted = self.spec["process"]
        identity = user.resolve(root, wanted.get("user", {}))
        os.close(root)
        process.become(wanted, identity, confined=self.confinement is not None)
        if labels is not None:
            labels.apply()
        if not self.manner.tied:
            processes.set_parent_death_signal(0)
        variables = process.environment(wanted, identity)
        program = process.find(wanted, variables)
        if self.manner.gate is None:
            self._begin(program, variables)
        self._begin_at_gate(self.manner.gate, program, variables)

    def _begin(self, program: str, variables: dict[str, str]) -> NoReturn:
        wanted = self.spec["process"]
        if self.spec.get("hooks"):
            from cove.runtime import hooks

            life = hooks.Life(self.start.container_id, self.start.run_dir)
            _run_own_hooks(self.spec, "startContainer", life.state(self.spec, "created", os.getpid()))
        process.confine(wanted, self.confinement, self.channel, self.manner.preserved)
        if self.start.init:
            pid1.stay(wanted.get("terminal", False), self.channel)
        process.execute(program, wanted, variables)

    def _begin_at_gate(self, gate: Gate, program: str, variables: dict[str, str]) -> NoReturn:
        """Say that the container is created, wait for the word to begin, and tell failures to whoever gave it.

        A filter with a listener is put on before, while the parent is there to send the listener its descriptor.
        """
        confinement = self.confinement
        if confinement is not None and confinement.has_listener:
            process.confine(self.spec["process"], confinement, self.channel, self.manner.preserved)
            confinement = None
        channels.send(self.channel, Ready())
        self.channel.close()
        if os.read(gate.go, 1) != b"1":
            os._exit(process.CANNOT_START)
        try:
            self._replace(confinement=confinement)._begin(program, variables)
        except BaseException as error:
            process.fail_at_gate(gate.result, error)
