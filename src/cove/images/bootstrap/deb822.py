"""Debian's control format (deb822): paragraphs of ``Field: value`` with indented continuation lines."""

from cove.errors import InvalidArgument

Paragraph = dict[str, str]
"""Field names in lower case; a value keeps its line breaks, without the indentation of its continuation lines."""


def parse(text: str, source: str) -> list[Paragraph]:
    """The paragraphs of a text, comments left out.

    ``source`` names the text in the InvalidArgument that a line which is neither a field nor a continuation raises.
    """
    paragraphs: list[Paragraph] = []
    current: Paragraph = {}
    field = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if current:
                paragraphs.append(current)
            current, field = {}, ""
        elif line[0] in " \t":
            if not field:
                raise InvalidArgument(f"{source}:{number}: a continuation line without a field above it")
            current[field] += "\n" + line.strip()
        else:
            field = _add_field(current, line, f"{source}:{number}")
    return [*paragraphs, current] if current else paragraphs


def _add_field(paragraph: Paragraph, line: str, where: str) -> str:
    name, colon, value = line.partition(":")
    field = name.strip().lower()
    if not colon or not field:
        raise InvalidArgument(f"{where}: not a field: {line[:80]!r}")
    if field in paragraph:
        raise InvalidArgument(f"{where}: field {name.strip()} is given twice")
    paragraph[field] = value.strip()
    return field
