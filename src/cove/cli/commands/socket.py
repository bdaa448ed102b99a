"""``cove socket``: further sockets of the API that can do a part of it only."""

from __future__ import annotations

from urllib.parse import quote

from cove.cli.command import NO_ARGUMENTS, Command, at_least, exactly
from cove.cli.options import LIST_FORMAT
from cove.cli.session import for_each
from cove.cli.view import View
from cove.flags import BOOL, LIST, STRING, STRINGS, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _create(session: Session, values: Values, arguments: list[str]) -> int:
    body = {
        "Name": arguments[0],
        "Allow": values.many("allow"),
        "Deny": values.many("deny"),
        "Labels": dict(label.partition("=")[::2] for label in values.many("label")),
        "Group": values.text("group"),
    }
    made = session.client.json("POST", "/cove/sockets/create", body=body)
    session.print(f"unix://{made['Path']}")
    return 0


def _ls(session: Session, values: Values, _arguments: list[str]) -> int:
    from cove.cli.formatter import config_format, show

    quiet = values.on("quiet")
    form = config_format(session, "socketsFormat", values.text("format"), quiet)
    show(session, _view(), session.client.json("GET", "/cove/sockets"), form, quiet="Name" if quiet else "")
    return 0


def _view() -> View:
    return View(
        "*formatter.socketContext",
        ("Name", "Allow", "Deny", "Labels", "Path"),
        {
            "Name": ("NAME", lambda item: item["Name"]),
            "Allow": ("ALLOW", lambda item: ",".join(item["Allow"]) or "all"),
            "Deny": ("DENY", lambda item: ",".join(item["Deny"])),
            "Labels": ("LABELS", lambda item: ",".join(f"{name}={value}" for name, value in item["Labels"].items())),
            "Group": ("GROUP", lambda item: item.get("Group", "")),
            "Path": ("PATH", lambda item: item["Path"]),
            "Created": ("CREATED AT", lambda item: item["Created"]),
        },
    )


def _rm(session: Session, _values: Values, arguments: list[str]) -> int:
    return for_each(
        session,
        arguments,
        lambda name: session.client.json("DELETE", f"/cove/sockets/{quote(name, safe='')}"),
    )


CREATE = Command(
    _create,
    "[OPTIONS] NAME",
    exactly(1),
    (
        Flag("allow", LIST, "A method and paths that may be asked for, like 'GET /containers/**'"),
        Flag("deny", STRINGS, "What may not be done: exec, privileged, bind, host"),
        Flag("label", LIST, "A label that objects must have to be seen, and that new ones get"),
        Flag("group", STRING, "The group that may use it, beside root"),
    ),
)
LS = Command(_ls, "[OPTIONS]", NO_ARGUMENTS, (LIST_FORMAT, Flag("quiet", BOOL, "Only display names", "q")))
RM = Command(_rm, "NAME [NAME...]", at_least(1))
