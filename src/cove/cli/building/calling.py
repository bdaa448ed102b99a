"""The answers to ``--call``."""

from __future__ import annotations

import json

from cove.cli.building.call import Call, read
from cove.cli.building.options import arguments
from cove.cli.failure import Failure
from cove.cli.tabwriter import align
from cove.dockerfile import DockerfileError, Options, parse, plan
from cove.dockerfile.outline import OutlinedLoan, outline, targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from cove.cli.session import Session
    from cove.dockerfile.failure import Location
    from cove.flags import Values


def ask(session: Session, values: Values, place: str, call: Call) -> int:
    """Print the answer. Raises Failure for a Dockerfile that cannot be built."""
    if call.method == "check":
        from cove.cli.building.checking import check

        return check(session, values, place, call)
    prepared, text = read(place, values.text("file"))
    try:
        told = _targets(text) if call.method == "targets" else _outline(text, values)
    except DockerfileError as error:
        raise Failure(error.excerpt(prepared.dockerfile, text.decode("utf-8", "replace")) + error.message) from error
    session.print(told.document(text) if call.as_json else told.table())
    return 0


class _Told:
    """An answer: for a program, and for people. ``document``: keys as BuildKit has them, without what is empty."""

    def __init__(self, document: dict[str, Any], tables: Iterable[Sequence[Sequence[str]]], padding: int) -> None:
        self._document = document
        self._tables = tables
        self._padding = padding

    def document(self, text: bytes) -> str:
        import base64

        return json.dumps({**self._document, "sources": [base64.b64encode(text).decode()]}, indent=2)

    def table(self) -> str:
        blocks = ("\n".join("\t".join(row) for row in rows) for rows in self._tables)
        return "\n\n".join(align(block, 0, self._padding) for block in blocks)


def _targets(text: bytes) -> _Told:
    found = targets(parse(text))
    rows = [("TARGET", "DESCRIPTION")]
    for each in found:
        rows.append((f"{each.name} (default)".lstrip() if each.default else each.name, each.description))
    listed = [
        _said(
            name=each.name,
            default=each.default,
            description=each.description,
            base=each.base,
            platform=each.platform,
            location=_location(each.location),
        )
        for each in found
    ]
    return _Told({"targets": listed}, [rows], 1)


def _outline(text: bytes, values: Values) -> _Told:
    found = outline(plan(parse(text), Options(values.text("target"), arguments(values))))
    tables: list[list[tuple[str, ...]]] = []
    if found.name or found.description:
        about = [("DESCRIPTION:", found.description)] if found.description else []
        tables.append([("TARGET:", found.name or "(default)"), *about])
    if found.arguments:
        rows = [(each.name, each.value or "", each.description) for each in found.arguments]
        tables.append([("BUILD ARG", "VALUE", "DESCRIPTION"), *rows])
    for title, loans in (("SECRET", found.secrets), ("SSH", found.agents)):
        if loans:
            tables.append([(title, "REQUIRED"), *((each.name, "true" if each.required else "") for each in loans)])
    given = [
        _said(name=each.name, description=each.description, value=each.value, location=_location(each.location))
        for each in found.arguments
    ]
    document = _said(
        name=found.name,
        description=found.description,
        args=given,
        secrets=_loans(found.secrets),
        ssh=_loans(found.agents),
    )
    return _Told(document, tables, 3)


def _loans(loans: Iterable[OutlinedLoan]) -> list[dict[str, Any]]:
    return [_said(name=each.name, required=each.required, location=_location(each.location)) for each in loans]


def _location(location: Location) -> dict[str, Any]:
    return {"ranges": [{"start": {"line": location.first}, "end": {"line": location.last}}]}


def _said(**fields: Any) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in fields.items() if value}
