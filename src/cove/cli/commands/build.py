"""``cove build``: a context goes up, and an image is made of it."""

from __future__ import annotations

import json
import secrets

from cove.cli.build_contexts.needs import needed
from cove.cli.build_contexts.preparing import Directory, prepare
from cove.cli.build_contexts.sending import send
from cove.cli.build_display import results
from cove.cli.build_display.choice import display_for
from cove.cli.building import exports, lending, options
from cove.cli.building.caching import Caching
from cove.cli.building.flags import FLAGS
from cove.cli.command import Command, exactly
from cove.cli.credentials import everything
from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cove.cli.build_contexts.preparing import Prepared
    from cove.cli.build_display.choice import Display
    from cove.cli.session import Session
    from cove.flags import Values


def _build(session: Session, values: Values, arguments: list[str]) -> int:
    call = "check" if values.on("check") else values.text("call")
    if call != "build":
        from cove.cli.building import calling
        from cove.cli.building.call import Call

        return calling.ask(session, values, arguments[0], Call(call))
    prepared = prepare(arguments[0], values.text("file"))
    build = secrets.token_hex(16)
    caching = Caching(session, values, build)
    with lending.lent(session, values, build):
        sent, body = send(session.client, prepared, lambda directory: needed(session, values, directory))
        query = {**options.query(values, build), **caching.query, **sent, "buildid": build, "events": True}
        query["vcs"] = _repository(values, prepared)
        headers = {"Content-Type": "application/x-tar", "X-Registry-Config": everything(session)}
        response = session.client.stream("POST", "/build", query, body, headers)
        display = display_for(session, values)
        outcome = _followed(response.lines(), display)
    results.warn(session, values, outcome.warnings)
    try:
        return _ended(session, values, outcome, caching, build)
    finally:
        caching.clean()


def _repository(values: Values, prepared: Prepared) -> str | None:
    """What provenance is to say of the directory's repository."""
    if not isinstance(prepared, Directory) or not options.attests_provenance(values):
        return None
    from cove.cli.building.repository import repository

    return json.dumps(repository(prepared.root))


def _ended(session: Session, values: Values, outcome: results.Outcome, caching: Caching, build: str) -> int:
    if values.on("explain"):
        results.explain(session.warn if options.to_stdout(values) else session.print, outcome.explanations)
    if outcome.error:
        if outcome.debug and values.on("debug"):
            return results.debug(session, outcome.debug)
        raise Failure(outcome.error, outcome.code)
    caching.finish(lambda name: exports.push(session, [name]))
    return results.finish(session, values, outcome, build)


def _followed(lines: Iterable[bytes], display: Display) -> results.Outcome:
    """Show a build to its last line. While nobody reads further the daemon keeps what is to be written elsewhere."""
    outcome = results.Outcome()
    try:
        for line in lines:
            if not line.strip():
                continue
            message: dict[str, Any] = json.loads(line)
            if message.get("id") == "cove.build":
                outcome.warnings += message["aux"].get("warnings") or ()
                outcome.explanations += message["aux"].get("explanations") or ()
                display.update(message["aux"])
            elif message.get("id") == "cove.debug":
                outcome.debug = message["aux"]
            elif message.get("id") == "cove.result":
                outcome.metadata = message.get("aux") or {}
                break
            elif "aux" in message:
                outcome.image = message["aux"].get("ID", "")
            elif "error" in message:
                outcome.error = message["error"]
                outcome.code = 1
                break
    finally:
        display.close(failed=bool(outcome.error))
    return outcome


COMMAND = Command(_build, "[OPTIONS] PATH | URL | -", exactly(1), FLAGS)
