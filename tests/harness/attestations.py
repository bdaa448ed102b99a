"""What is said of an image beside it, read from a saved archive."""

import json
import tarfile
from pathlib import Path
from typing import Any


def statements(archive: Path) -> dict[str, Any]:
    """The attestations in an archive, by the type of what they say."""
    said = {}
    with tarfile.open(archive) as members:
        for member in members.getmembers():
            file = members.extractfile(member)
            data = file.read(1 << 20) if file is not None else b""
            if data.startswith(b'{"_type"'):
                statement = json.loads(data)
                said[statement["predicateType"]] = statement
    return said
