"""Who a process runs as: the user and groups of the configuration, by the container's /etc/passwd and /etc/group.

The rules are Docker's: names and numbers are both looked up, a number without an entry is taken as it is, a group that
is named leaves out the supplementary ones of the user.
"""

from cove.kernel import paths
from cove.lean import NamedTuple
from cove.oci.runtime import User

MAX_FILE = 8 << 20
"""Bytes of /etc/passwd or /etc/group that are read; a longer file is treated as one that is not there."""

_MAX_ID = (1 << 31) - 1


class Identity(NamedTuple):
    """``groups``: all that setgroups gets, the primary one first. ``home``: a directory's path."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class _Account(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


class _Group(NamedTuple):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve(root: int, user: User) -> Identity:
    """The identity that a configuration means in the container whose root directory is ``root``; root by default.

    Raises ValueError in Docker's words: ``unable to find user bogus: no matching entries in passwd file``.
    """
    accounts = _accounts(_read(root, "/etc/passwd"))
    groups = _groups(_read(root, "/etc/group"))
    words = user.get("username", "")
    found = _numeric(user, accounts) if "uid" in user and not words else lookup(words, accounts, groups)
    extra = [_additional(name, groups) for name in user.get("additionalGroups", [])]
    every = dict.fromkeys([found.gid, *found.groups, *user.get("additionalGids", []), *extra])
    return found._replace(groups=tuple(every))


def lookup(words: str, accounts: list[_Account], groups: list[_Group]) -> Identity:
    """``name``, ``uid``, ``name:group`` or ``uid:gid``; an empty user is root. ``groups`` holds supplementary ones."""
    user_word, _, group_word = words.partition(":")
    number = _number(user_word) if user_word else 0
    account = next((entry for entry in accounts if user_word == entry.name or entry.uid == number), None)
    if account is None:
        if number is None:
            raise ValueError(f"unable to find user {user_word}: no matching entries in passwd file")
        account = _Account("", _checked(number), 0, "/")
    if group_word:
        return Identity(account.uid, _named_group(group_word, groups), (), account.home)
    supplementary = tuple(group.gid for group in groups if account.name and account.name in group.members)
    return Identity(account.uid, account.gid, supplementary, account.home)


def _numeric(user: User, accounts: list[_Account]) -> Identity:
    uid = _checked(user.get("uid", 0))
    home = next((entry.home for entry in accounts if entry.uid == uid), "/")
    return Identity(uid, _checked(user.get("gid", 0)), (), home)


def _named_group(word: str, groups: list[_Group]) -> int:
    number = _number(word)
    group = next((entry for entry in groups if entry.name == word or entry.gid == number), None)
    if group is not None:
        return group.gid
    if number is None:
        raise ValueError(f"unable to find group {word}: no matching entries in group file")
    return _checked(number)


def _additional(word: str, groups: list[_Group]) -> int:
    try:
        return _named_group(word, groups)
    except ValueError as error:
        message = str(error)
        raise ValueError(message[0].upper() + message[1:] if message.startswith("unable") else message) from None


def _number(word: str) -> int | None:
    digits = word.removeprefix("-").removeprefix("+")
    return int(word) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _checked(number: int) -> int:
    if not 0 <= number <= _MAX_ID:
        raise ValueError(f"uids and gids must be in range 0-{_MAX_ID}")
    return number


def _read(root: int, path: str) -> str:
    """Of an image that is not trusted: only a regular file of a sane size is read, and only inside the root."""
    try:
        return paths.read_file(root, path, MAX_FILE).decode(errors="surrogateescape")
    except (OSError, ValueError):
        return ""


def _accounts(text: str) -> list[_Account]:
    found = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= 4 and fields[0]:
            uid, gid = _number(fields[2]), _number(fields[3])
            if uid is not None and gid is not None:
                found.append(_Account(fields[0], uid, gid, (fields[5] if len(fields) > 5 else "") or "/"))
    return found


def _groups(text: str) -> list[_Group]:
    found = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= 3 and fields[0]:
            gid = _number(fields[2])
            if gid is not None:
                members = fields[3].split(",") if len(fields) > 3 else []
                found.append(_Group(fields[0], gid, tuple(name for name in members if name)))
    return found
