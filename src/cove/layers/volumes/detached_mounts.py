"""What is to be attached to a container that runs: a mount that is nowhere yet, as a start would have made it."""

import os

from cove.errors import InvalidArgument
from cove.kernel import mounts, namespaces, staged_mounts, user_namespaces
from cove.layers.copying import owner
from cove.layers.view import of_namespace
from cove.layers.worker.tree_jobs import AttachMount
from cove.oci.idmaps import exchanged, triples

_PROPAGATIONS = {"": mounts.PRIVATE, "private": mounts.PRIVATE, "slave": mounts.SLAVE, "shared": mounts.SHARED}


def open_mount(job: AttachMount, namespace: int) -> int:
    """A descriptor of it. ``namespace``: the container's; this process has a mount namespace of its own.

    Raises InvalidArgument, OSError.
    """
    if job.staged:
        _stage(job, namespace)
    try:
        recursive = 0 if job.recursion == "disabled" else mounts.AT_RECURSIVE
        mount = mounts.open_tree(job.source, mounts.OPEN_TREE_CLONE | recursive)
    except FileNotFoundError:
        raise InvalidArgument(f"bind source path does not exist: {job.source}") from None
    try:
        _give_attributes(job, mount, namespace)
    except BaseException:
        os.close(mount)
        raise
    return mount


def _stage(job: AttachMount, namespace: int) -> None:
    """Images are shown with the container's ids."""
    mounts.set_propagation("/", mounts.PRIVATE)
    user = namespaces.user_of(namespace)
    try:
        staged_mounts.attach_all((mount.made() for mount in job.staged), None if namespaces.is_own_user(user) else user)
    finally:
        os.close(user)


def _give_attributes(job: AttachMount, mount: int, namespace: int) -> None:
    deep = job.propagation.startswith("r") or not job.propagation
    propagation = _PROPAGATIONS[job.propagation.removeprefix("r")]
    mounts.set_attributes(mount, 0, propagation=propagation, recursive=deep)
    if not job.writable:
        mounts.set_attributes(mount, mounts.READ_ONLY, recursive=job.recursion in ("", "readonly"))
    ids = _ids(job, mount, namespace)
    if ids is not None:
        try:
            mounts.set_attributes(mount, 0, user_namespace=ids)
        finally:
            os.close(ids)


def _ids(job: AttachMount, mount: int, namespace: int) -> int | None:
    """The user namespace whose mapping the mount is to have, if any."""
    if job.idmap:
        return _exchange(job, mount, namespace)
    user = namespaces.user_of(namespace)
    if job.mapped and not namespaces.is_own_user(user):
        return user
    os.close(user)
    return None


def _exchange(job: AttachMount, mount: int, namespace: int) -> int:
    """Of ``match-user``: the owner of what is mounted and the container's user, else the ids that it names."""
    if job.idmap == "match-user":
        found = os.fstat(mount)
        root = of_namespace(namespace, whole=True)
        try:
            user, group = owner(root, job.user or "0")
        finally:
            os.close(root)
        pairs = [(found.st_uid, user, 1), (found.st_gid, group, 1)]
    else:
        disk, shown, count = map(int, job.idmap.split(":"))
        pairs = [(disk, shown, count)] * 2
    users, groups = (
        triples(exchanged(disk, outside + shown, count))
        for (disk, shown, count), outside in zip(pairs, job.root, strict=True)
    )
    return user_namespaces.create(users, groups)
