"""What is left to do when a build has ended: files that were asked for, explanations, pushes, a shell."""

from __future__ import annotations

import json

from cove.cli.building.exports import Exports
from cove.cli.building.loading import unload
from cove.cli.building.options import to_stdout
from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
        self.warnings: list[dict[str, Any]] = []


def finish(session: Session, values: Values, outcome: Outcome, build: str) -> int:
    """Write, print and push what was asked for. ``build``: the build's id."""
    if path := values.text("iidfile"):
        _write(path, outcome.image, "iidfile")
    if path := values.text("metadata-file"):
        _write(path, json.dumps(outcome.metadata, indent=2), "metadata-file")
    if outcome.image:
        Exports(session, values, build, outcome.image).hand_out()
    if values.on("quiet") and not to_stdout(values):
        session.print(outcome.image)
    return 0


def warn(session: Session, values: Values, warnings: list[dict[str, Any]]) -> None:
    """What the Dockerfile's checks have found, unless whoever reads the output wants none of it, or all as JSON."""
    if warnings and not values.on("quiet") and values.text("progress") not in ("quiet", "none", "rawjson"):
        from cove.cli.build_display.warnings import summary

        session.warn(summary(session, warnings))


def explain(show: Callable[[str], None], explanations: list[dict[str, Any]]) -> None:
    """A line for every step, and for one that had to be built what differs from the nearest record."""
    for told in sorted(explanations, key=lambda told: int(told["step"])):
        show(f"{'HIT ' if told['hit'] else 'MISS'} {told['name']}")
        for reason in told["reasons"]:
            show(f"       {reason}")


def debug(session: Session, told: dict[str, Any]) -> int:
    """A shell over the files that the failed step left."""
    from cove.cli.main import main

    session.warn(f"{told['error']}\nA shell over what the step left; its end ends the build.")
    mounts = [word for mount in told["mounts"] for word in ("--mount", _mount(mount))]
    try:
        main(["run", "--rm", "-it", *mounts, "--entrypoint", "/bin/sh", told["image"]])
    finally:
        images = {told["image"], *(mount["source"] for mount in told["mounts"] if mount["type"] == "image")}
        unload(session, images, force=True)
    return 1


def _mount(mount: dict[str, Any]) -> str:
    """What ``--mount`` takes: fields of a line of CSV."""
    said = {"type": mount["type"], "target": mount["target"]}
    if mount["type"] == "tmpfs":
        said |= {"tmpfs-size": mount["size"]} if mount["size"] else {}
    else:
        said |= {"source": mount["source"]}
        said |= {"image-subpath": mount["subpath"].strip("/")} if mount["subpath"].strip("/") else {}
    escaped = (f"{name}={value}".replace('"', '""') for name, value in said.items())
    return ",".join(f'"{field}"' for field in escaped)


def _write(path: str, text: str, flag: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Failure(f"--{flag} {path}: {error.strerror}") from error
