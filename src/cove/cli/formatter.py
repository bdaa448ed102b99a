"""Lists of things: as a table, as JSON lines, or through the user's template.

A ``View`` says which fields one kind of thing has, each with its column title and how to get it. Tables without a
template do not load the template engine.
"""

from __future__ import annotations

from cove.cli.failure import Failure
from cove.cli.tabwriter import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from cove.cli.session import Session
    from cove.cli.view import View

TABLE = "table"
JSON = "json"


def show(
    session: Session,
    view: View,
    items: Iterable[Any],
    form: str,
    columns: Sequence[str] | None = None,
    quiet: str = "",
    out: Callable[[str], object] | None = None,
) -> None:
    """Print ``items`` in the format the user asked for; ``quiet`` names the field of ``--quiet``, or is empty."""
    write = out or session.stdout.write
    form = unescape(form) or TABLE
    if form == TABLE and quiet:
        write("".join(f"{view.fields[quiet][1](item)}\n" for item in items))
    elif form == TABLE:
        chosen = columns or view.columns
        lines = [view.titles(chosen), *(view.row(item, chosen) for item in items)]
        write(align("\n".join(lines)) + "\n")
    elif form == JSON:
        from cove.template.functions import to_json

        write("".join(to_json(view.as_json(item), escape=True) + "\n" for item in items))
    else:
        _templated(write, view, items, form)


def check_format(view: View, form: str, item: Any) -> None:
    """Run a template over ``item`` for its errors alone. Raises Failure."""
    if form not in ("", TABLE, JSON):
        _templated(lambda text: None, view, [item], unescape(form))


def unescape(form: str) -> str:
    return form.replace("\\t", "\t").replace("\\n", "\n")


def uses(form: str, *words: str) -> bool:
    """Whether a format mentions one of these fields, or the whole record."""
    return any(word in form for word in (*words, "json ."))


def _templated(write: Callable[[str], object], view: View, items: Iterable[Any], form: str) -> None:
    from cove.cli.records import render_rows, render_titles

    in_table = form.startswith(TABLE)
    source = form.removeprefix(TABLE).lstrip(" \t") if in_table else form
    rows = render_rows(view, items, source)
    if not in_table:
        write("".join(row + "\n" for row in rows))
        return
    write(align("\n".join([render_titles(view, source), *rows])) + "\n")


def config_format(session: Session, key: str, form: str, quiet: bool = False) -> str:
    """The format asked for, or the configuration file's for this command (``psFormat`` and its like)."""
    if form or quiet:
        return form
    value = session.config.get(key, "")
    if not isinstance(value, str):
        raise Failure(f"{key} in the configuration file is not text")
    return value
