"""``cove volume browse``: look into a volume and copy its files, without a container"""

from __future__ import annotations

from cove.cli.archives import Archive, Options, copy_in, copy_out
from cove.cli.attachment import write_all
from cove.cli.command import Arguments, Command
from cove.cli.copying import PIECE, open_archive
from cove.cli.failure import Failure
from cove.cli.formatter import show
from cove.cli.humanize import parse_rfc3339
from cove.cli.options import LIST_FORMAT
from cove.cli.terminal import STDOUT
from cove.cli.view import View
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Item = dict[str, Any]

# Go's file mode bits, as the API has them.
_KINDS = ((1 << 31, "d"), (1 << 27, "l"), (1 << 25, "p"), (1 << 24, "s"), (1 << 21, "c"), (1 << 26, "b"))
_SPECIAL = ((1 << 23, 2), (1 << 22, 5), (1 << 20, 8))

FILES = View(
    "*formatter.fileContext",
    ("Mode", "Owner", "Size", "Modified", "Name"),
    {
        "Mode": ("MODE", lambda item: _mode(item["Mode"])),
        "Owner": ("OWNER", lambda item: f"{item['UID']}:{item['GID']}"),
        "Size": ("SIZE", lambda item: str(item["Size"])),
        "Modified": ("MODIFIED", lambda item: _time(item["Modified"])),
        "Name": ("NAME", lambda item: item["Name"] + (f" -> {item['Target']}" if item.get("Target") else "")),
    },
)


def _mode(mode: int) -> str:
    """As ``ls -l`` writes it."""
    kind = next((letter for bit, letter in _KINDS if mode & bit), "-")
    letters = ["rwxrwxrwx"[at] if mode >> (8 - at) & 1 else "-" for at in range(9)]
    for bit, at in _SPECIAL:
        if mode & bit:
            small = "t" if at == 8 else "s"
            letters[at] = small if letters[at] == "x" else small.upper()
    return kind + "".join(letters)


def _time(text: str) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(parse_rfc3339(text)[0]))


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    volume, *rest = arguments
    action, *rest = rest or ["ls"]
    actions = {"ls": (_ls, 0, 1), "cat": (_cat, 1, 1), "cp": (_cp, 2, 2)}
    if action not in actions:
        raise Failure(f"{action!r} is not one of ls, cat and cp")
    run, least, most = actions[action]
    if not least <= len(rest) <= most:
        raise Failure(f"{action} takes {('one path', 'a source and a destination')[action == 'cp']}")
    run(session, values, volume, rest)
    return 0


def _ls(session: Session, values: Values, volume: str, arguments: list[str]) -> None:
    query = {"path": arguments[0] if arguments else "/", "tag": values.text("tag") or None}
    items = session.client.json("GET", f"/cove/volumes/{volume}/files", query)
    show(session, FILES, items, values.text("format"), quiet="Name" if values.on("quiet") else "")


def _cat(session: Session, values: Values, volume: str, arguments: list[str]) -> None:
    archive = _archive(session, volume)
    path = archive.followed(arguments[0], Options(follow=True))
    with open_archive(archive.get(path, query=_tag(values)).pieces()) as tar:
        member = tar.next()
        held = tar.extractfile(member) if member is not None and member.isreg() else None
        if held is None:
            raise Failure(f"{arguments[0]} in volume {volume} is not a file")
        while piece := held.read(PIECE):
            write_all(STDOUT, piece)


def _cp(session: Session, values: Values, volume: str, arguments: list[str]) -> None:
    source, target = arguments
    archive = _archive(session, volume)
    if source.startswith(":") == target.startswith(":"):
        raise Failure("one of the two paths must be the volume's, with a colon in front: ':/path'")
    if source.startswith(":"):
        copy_out(archive, source[1:], target, Options(quiet=True, archive=True))
    else:
        copy_in(source, archive, target[1:], Options(quiet=True))


def _tag(values: Values) -> dict[str, str]:
    return {"tag": values.text("tag")} if values.text("tag") else {}


def _archive(session: Session, volume: str) -> Archive:
    return Archive(session, "volume", volume, f"/cove/volumes/{volume}", f"/volumes/{volume}")


COMMAND = Command(
    _run,
    "[OPTIONS] VOLUME [ls [PATH] | cat PATH | cp :PATH LOCAL_PATH|- | cp LOCAL_PATH|- :PATH]",
    Arguments(1, 4),
    (
        LIST_FORMAT,
        Flag("quiet", BOOL, "Only display names", "q"),
        Flag("tag", STRING, "Look into this snapshot (ls, cat)"),
    ),
    long="Look into a volume and copy its files, without a container",
)
