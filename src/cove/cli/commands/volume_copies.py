"""``cove volume``: rename, clone, snapshot, snapshots, restore, diff, backup"""

from __future__ import annotations

import json

from cove.cli.command import Arguments, Command, exactly
from cove.cli.failure import Failure
from cove.cli.files import open_input, read_pieces, save_to
from cove.cli.formatter import show
from cove.cli.humanize import ago, parse_rfc3339
from cove.cli.options import LIST_FORMAT
from cove.cli.terminal import STDIN, STDOUT, is_terminal
from cove.cli.view import View
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.client.http import Response
    from cove.flags import Values

_KINDS = {0: "C", 1: "A", 2: "D"}
_PAUSED = "x-cove-paused"

SNAPSHOTS_VIEW = View(
    "*formatter.snapshotContext",
    ("Volume", "Tag", "Created"),
    {
        "Volume": ("VOLUME", lambda item: item["Volume"]),
        "Tag": ("TAG", lambda item: item["Tag"]),
        "Created": ("CREATED", lambda item: ago(parse_rfc3339(item["Created"])[0])),
        "CreatedAt": ("CREATED AT", lambda item: item["Created"]),
    },
)


def _rename(session: Session, values: Values, arguments: list[str]) -> int:
    name, new = arguments
    session.client.json("POST", f"/cove/volumes/{name}/rename", {"name": new})
    return 0


def _clone(session: Session, values: Values, arguments: list[str]) -> int:
    name, new = arguments
    made = session.client.json("POST", f"/cove/volumes/{name}/clone", {"name": new})
    session.print(made["Volume"]["Name"])
    _tell(session, made["Paused"])
    return 0


def _snapshot(session: Session, values: Values, arguments: list[str]) -> int:
    name, *rest = arguments
    tag = rest[0] if rest else ""
    if values.on("rm"):
        if not tag:
            raise Failure("--rm needs the TAG of the snapshot to remove")
        session.client.json("DELETE", f"/cove/volumes/{name}/snapshots/{tag}")
        session.print(tag)
        return 0
    made = session.client.json("POST", f"/cove/volumes/{name}/snapshots", {"tag": tag or None})
    session.print(made["Tag"])
    _tell(session, made["Paused"])
    return 0


def _snapshots(session: Session, values: Values, arguments: list[str]) -> int:
    items = session.client.json("GET", f"/cove/volumes/{arguments[0]}/snapshots")
    show(session, SNAPSHOTS_VIEW, items, values.text("format"), quiet="Tag" if values.on("quiet") else "")
    return 0


def _restore(session: Session, values: Values, arguments: list[str]) -> int:
    name, *rest = arguments
    given = values.text("input")
    if bool(given) == bool(rest):
        raise Failure("name the TAG of a snapshot, or a backup with --input")
    if rest and "/" in rest[0]:
        raise Failure(f'"{rest[0]}" is not the tag of a snapshot: a backup in a file is named with --input')
    if rest:
        session.client.json("POST", f"/cove/volumes/{name}/snapshots/{rest[0]}/restore")
    else:
        source = STDIN if given == "-" else open_input(given)
        headers = {"Content-Type": "application/zstd"}
        session.client.stream("PUT", f"/cove/volumes/{name}/backup", None, read_pieces(source), headers).read()
    session.print(name)
    return 0


def _diff(session: Session, values: Values, arguments: list[str]) -> int:
    name, old, *rest = arguments
    query = {"from": old, "to": rest[0] if rest else None}
    for change in session.client.objects("GET", f"/cove/volumes/{name}/changes", query):
        if "errorDetail" in change:
            raise Failure(change["errorDetail"]["message"])
        session.print(f"{_KINDS[change['Kind']]} {change['Path']}")
    return 0


def _backup(session: Session, values: Values, arguments: list[str]) -> int:
    output = values.text("output")
    if not output and is_terminal(STDOUT):
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    query = {"tag": values.text("tag") or None}

    def ask() -> Response:
        response = session.client.stream("GET", f"/cove/volumes/{arguments[0]}/backup", query)
        _tell(session, json.loads(response.headers[_PAUSED]))
        return response

    save_to("" if output == "-" else output, "back up the volume", ask)
    return 0


def _tell(session: Session, paused: dict[str, Any] | None) -> None:
    if paused and paused["Containers"]:
        session.warn(f"paused for {paused['Milliseconds']:.1f} ms: {', '.join(paused['Containers'])}")


RENAME = Command(_rename, "VOLUME NEW_NAME", exactly(2))
CLONE = Command(
    _clone,
    "VOLUME NEW_VOLUME",
    exactly(2),
    long="Make a volume with the files of another, by sharing their blocks where the file system can",
)
SNAPSHOT = Command(
    _snapshot,
    "[OPTIONS] VOLUME [TAG]",
    Arguments(1, 2),
    (Flag("rm", BOOL, "Remove the snapshot of this tag instead"),),
    long="Keep the files of a volume as they are now. Containers that write to it are paused while what has changed "
    "during a first copy is copied again",
)
SNAPSHOTS = Command(
    _snapshots, "[OPTIONS] VOLUME", exactly(1), (LIST_FORMAT, Flag("quiet", BOOL, "Only display tags", "q"))
)
RESTORE = Command(
    _restore,
    "[OPTIONS] VOLUME [TAG]",
    Arguments(1, 2),
    (Flag("input", STRING, "Read a backup from a file, or from STDIN (-)", "i"),),
    long="Replace the files of a volume by those of a snapshot or of a backup; no container may run with it",
)
DIFF = Command(
    _diff,
    "VOLUME TAG [TAG]",
    Arguments(2, 3),
    long="Show what has changed since a snapshot, or between two",
)
BACKUP = Command(
    _backup,
    "[OPTIONS] VOLUME",
    exactly(1),
    (
        Flag("output", STRING, "Write to a file, instead of STDOUT", "o"),
        Flag("tag", STRING, "Back up this snapshot"),
    ),
    long="Write a volume as a tar.zst with owners, modes, times, extended attributes, access control lists, hard links "
    "and holes. The same files give the same bytes",
)
