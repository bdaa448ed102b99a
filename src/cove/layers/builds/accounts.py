"""The owner that a build's ``--chown`` names, by the accounts of the image that is copied to."""

from cove.errors import InvalidArgument
from cove.layers.builds.trees import Tree, resolve

MOST = 1 << 20
"""The most bytes of a passwd or group file that are read."""


def owner(tree: Tree, text: str) -> tuple[int, int]:
    """The numbers of ``user[:group]``. A number alone is the group too, as in Docker.

    Raises InvalidArgument for a name that the image does not have.
    """
    user, _, group = text.partition(":")
    uid, gid = _user(tree, user) if user else (0, 0)
    return uid, _group(tree, group) if group else gid


def _user(tree: Tree, user: str) -> tuple[int, int]:
    if user.isdecimal():
        return int(user), int(user)
    for name, _, uid, gid, *_ in _lines(tree, b"etc/passwd", 4):
        if name == user:
            return int(uid), int(gid)
    raise InvalidArgument(f"unable to find user {user}: no matching entries in passwd file")


def _group(tree: Tree, group: str) -> int:
    if group.isdecimal():
        return int(group)
    for name, _, gid, *_ in _lines(tree, b"etc/group", 3):
        if name == group:
            return int(gid)
    raise InvalidArgument(f"unable to find group {group}: no matching entries in group file")


def _lines(tree: Tree, path: bytes, fields: int) -> list[list[str]]:
    """The lines that have their numbers."""
    parts, found = resolve(tree, path.split(b"/"))
    if found is None or not found.is_file or found.size > MOST:
        return []
    text = b"".join(tree.data(tuple(parts))).decode("utf-8", "replace")
    lines = [line.split(":") for line in text.splitlines()]
    return [line for line in lines if len(line) >= fields and all(part.isdecimal() for part in line[2:fields])]
