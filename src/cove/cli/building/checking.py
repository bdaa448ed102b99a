"""``cove build --check``: what is wrong with a Dockerfile, and what could be better, without building it."""

from __future__ import annotations

import os

from cove.cli.build_contexts.preparing import Directory, prepare
from cove.cli.building.options import arguments
from cove.cli.failure import Failure
from cove.dockerfile import Options
from cove.dockerfile.checks import Surroundings, check_text
from cove.dockerfile.ignore import FILE_NAME, Matcher, parse_ignore_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def check(session: Session, values: Values, place: str) -> int:
    """Print the report; 1 when the Dockerfile cannot be built, or is to fail by its findings."""
    prepared = prepare(place, values.text("file"))
    text = getattr(prepared, "text", None)
    if text is None:
        raise Failure("--check needs a Dockerfile in a directory, or on stdin")
    root = prepared.root if isinstance(prepared, Directory) else ""
    options = Options(values.text("target"), arguments(values))
    report = check_text(text, options, Surroundings(ignored=_ignored(root)))
    session.print(report.text(prepared.dockerfile, text.decode("utf-8", "replace")).rstrip("\n"))
    return 1 if report.error is not None or report.failure is not None else 0


def _ignored(root: str) -> Matcher | None:
    """The patterns of the context's ignore file, none when it has none."""
    if not root:
        return None
    try:
        with open(os.path.join(root, FILE_NAME), "rb") as file:
            return Matcher(parse_ignore_file(file.read()))
    except OSError:
        return Matcher(())
