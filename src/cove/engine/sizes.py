"""What directories take on disk."""

import contextlib
import os
from pathlib import Path


def tree_size(root: Path) -> int:
    """Bytes of the regular files below a directory."""
    total = 0
    for directory, _, files in os.walk(root):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total
