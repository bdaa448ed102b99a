"""From the bytes of a CDI file to a ``Document``."""

import json
import re
from typing import Any

import msgspec

from cove.cdi.document import Document
from cove.errors import InvalidArgument

_OCTAL = re.compile(r"0[0-7]+")


def parse(path: str, content: bytes) -> Document:
    """``path`` says which format it is. Raises InvalidArgument naming the field or the line, not the file."""
    try:
        raw = _yaml(content) if path.endswith(".yaml") else _json(content)
    except RecursionError:
        raise InvalidArgument("it is nested too deeply") from None
    if not isinstance(raw, dict):
        raise InvalidArgument("no Spec data")
    try:
        return msgspec.convert(_without_nulls(raw), Document)
    except msgspec.ValidationError as error:
        raise InvalidArgument(_worded(str(error))) from None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"byte {error.start}: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"line {error.lineno}: {error.msg}") from None


def _yaml(content: bytes) -> Any:
    """YAML 1.2, but that ``0644`` is octal, which the files of vendors take for granted."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    class Constructor(SafeConstructor):
        def construct_yaml_int(self, node: Any) -> int:
            text = self.construct_scalar(node)
            return int(text, 8) if _OCTAL.fullmatch(text) else int(super().construct_yaml_int(node))

    Constructor.add_constructor("tag:yaml.org,2002:int", Constructor.construct_yaml_int)
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = Constructor
    try:
        return reader.load(content.decode())
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"byte {error.start}: {error.reason}") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise InvalidArgument(f"line {line}: {str(error.problem).splitlines()[0]}") from None
    except (YAMLError, ValueError) as error:
        raise InvalidArgument(str(error).strip().splitlines()[0]) from None


def _without_nulls(value: Any) -> Any:
    """A null is as good as no field, as those who write these files have it."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _worded(text: str) -> str:
    """msgspec's words with the field in front."""
    words, _, place = text.rpartition(" - at `$")
    field = place.rstrip("`").lstrip(".")
    return f"{field}: {words}" if words and field else words or text
