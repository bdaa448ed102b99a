"""``--userns-remap``: whose subordinate ids containers get (subuid(5), subgid(5)), in dockerd's words."""

import grp
import logging
import pwd
import subprocess
from pathlib import Path
from typing import NamedTuple

from cove.engine.bundle.remap import Range, Remap
from cove.errors import InvalidArgument

log = logging.getLogger(__name__)

SUBUID, SUBGID = Path("/etc/subuid"), Path("/etc/subgid")
DEFAULT = "default"
ACCOUNT = "dockremap"
"""The account that ``default`` means, Docker's, so that a host's entries for it serve both."""

FIRST, COUNT = 100_000, 65_536
"""Where ranges of a new account begin, and how many ids it gets (login.defs(5): SUB_UID_MIN, SUB_UID_COUNT)."""


class Account(NamedTuple):
    """A user and a group, by name and number."""

    user: str
    uid: int
    group: str
    gid: int


def remap(setting: str) -> Remap | None:
    """The mapping of a setting; None without one, and for root, who cannot be mapped to itself.

    ``default`` makes the account and its ranges when the host has none. Raises InvalidArgument.
    """
    if not setting:
        return None
    account = _account(setting)
    if account.uid == 0:
        log.warning("User namespaces: root cannot be remapped with itself; user namespaces are OFF")
        return None
    uids, gids = ranges(SUBUID, account.user, account.uid), ranges(SUBGID, account.group, account.gid)
    gids = gids or ranges(SUBGID, account.user, account.uid)  # Docker goes by the user's name alone
    for kind, found in (("uid", uids), ("gid", gids)):
        if not found:
            name = account.user if kind == "uid" else account.group
            raise InvalidArgument(f'Can\'t create ID mappings: no sub{kind} ranges found for user "{name}"')
    log.info("User namespaces: ID ranges will be mapped to subuid/subgid ranges of: %s", account.user)
    return Remap(tuple(uids), tuple(gids))


def check(setting: str) -> None:
    """Whether there are such a user and group; those of ``default`` are made at the start. Raises InvalidArgument."""
    if setting and setting != DEFAULT:
        _account(setting)


def ranges(file: Path, name: str, number: int) -> list[Range]:
    """The ranges of an account in a file of them, in their order. Raises InvalidArgument for a line that is none."""
    found = []
    for line in _lines(file):
        owner, first, count = _fields(file, line)
        if owner in (name, str(number)) and count:
            found.append(Range(first, count))
    return found


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _fields(file: Path, line: str) -> tuple[str, int, int]:
    parts = line.split(":")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        raise InvalidArgument(
            f"Can't create ID mappings: cannot parse subuid/gid information: Format not correct for "
            f"{file} file: {line!r}"
        )
    return parts[0], int(parts[1]), int(parts[2])


def _account(setting: str) -> Account:
    name, colon, group = setting.partition(":")
    if ":" in group or not name or (colon and not group):
        raise InvalidArgument(f'Invalid user/group specification in --userns-remap: "{setting}"')
    if name == DEFAULT:
        _make_default()
        name = ACCOUNT
    user = _user(name)
    found = _group(group, user) if group else _own_group(name, user)
    return Account(user.pw_name, user.pw_uid, found.gr_name, found.gr_gid)


def _absent(name: str, database: str) -> str:
    return f'getent unable to find entry "{name}" in {database} database'


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if name.isdecimal():
            raise InvalidArgument(f"Uid {name} has no entry in /etc/passwd: {_absent(name, 'passwd')}") from None
        raise InvalidArgument(f'Error during uid lookup for "{name}": {_absent(name, "passwd")}') from None


def _own_group(name: str, user: pwd.struct_passwd) -> grp.struct_group:
    """The group with the user's name or, for a number, with that number."""
    try:
        return grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(user.pw_name)
    except KeyError:
        if name.isdecimal():
            raise InvalidArgument(f"Gid {name} has no entry in /etc/group: {_absent(name, 'group')}") from None
        raise InvalidArgument(f'Error during gid lookup for "{name}": {_absent(name, "group")}') from None


def _group(group: str, _user: pwd.struct_passwd) -> grp.struct_group:
    try:
        return grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)
    except KeyError:
        if group.isdecimal():
            raise InvalidArgument(f"Gid {group} has no entry in /etc/group: {_absent(group, 'group')}") from None
        raise InvalidArgument(f'Error during groupname lookup for "{group}": {_absent(group, "group")}') from None


def _make_default() -> None:
    """The account of ``default`` and its ranges, as far as they are missing."""
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _make_account()
        account = pwd.getpwnam(ACCOUNT)
    for file in (SUBUID, SUBGID):
        if not ranges(file, ACCOUNT, account.pw_uid):
            add_range(file, ACCOUNT)


def _make_account() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", ACCOUNT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        failure = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        failure = str(error)
    if failure:
        raise InvalidArgument(f'Error during "{ACCOUNT}" user creation: {failure}')


def add_range(file: Path, name: str) -> None:
    """Give an account the first range that nobody has. Raises InvalidArgument."""
    taken = [_fields(file, line) for line in _lines(file)]
    first = max([FIRST, *(start + count for _owner, start, count in taken)])
    try:
        text = file.read_text(errors="surrogateescape") if file.exists() else ""
        with file.open("a") as target:
            target.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{name}:{first}:{COUNT}\n")
    except OSError as error:
        raise InvalidArgument(f"Can't create ID mappings: {file}: {error.strerror}") from error
