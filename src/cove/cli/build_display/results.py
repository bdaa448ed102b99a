"""What is left to do when a build has ended: files that were asked for, explanations, pushes, a shell."""

from __future__ import annotations

import json

from cove.cli.building.exports import export
from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values


class Outcome:
    """How a build ended. ``debug``: what a shell in the failed step needs."""

    def __init__(self) -> None:
        self.image = ""
        self.error = ""
        self.code = 1
        self.metadata: dict[str, Any] = {}
        self.debug: dict[str, Any] = {}
        self.explanations: list[dict[str, Any]] = []


def finish(session: Session, values: Values, outcome: Outcome) -> int:
    """Write, print and push what was asked for."""
    if path := values.text("iidfile"):
        _write(path, outcome.image, "iidfile")
    if path := values.text("metadata-file"):
        _write(path, json.dumps(outcome.metadata, indent=2), "metadata-file")
    export(session, values, outcome.image)
    if values.on("quiet"):
        session.print(outcome.image)
    return 0


def explain(session: Session, explanations: list[dict[str, Any]]) -> None:
    """A line for every step, and for one that had to be built what differs from the nearest record."""
    for told in explanations:
        session.print(f"{'HIT ' if told['hit'] else 'MISS'} {told['name']}")
        for reason in told["reasons"]:
            session.print(f"       {reason}")


def debug(session: Session, told: dict[str, Any]) -> int:
    """A shell over the files that the failed step left."""
    from cove.cli.main import main

    session.warn(f"{told['error']}\nA shell over what the step left; its end ends the build.")
    environment = [word for entry in told.get("environment", ()) for word in ("--env", entry)]
    words = ["run", "--rm", "-it", "--workdir", told.get("directory") or "/", *environment, "--entrypoint"]
    try:
        main([*words, told.get("shell", "/bin/sh"), told["image"]])
    finally:
        session.client.json("DELETE", f"/images/{told['image']}", {"force": True})
    return 1


def _write(path: str, text: str, flag: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Failure(f"--{flag} {path}: {error.strerror}") from error
