"""A coved whose containers are in user namespaces."""

import shutil
import tempfile
from pathlib import Path

from harness.daemon import Daemon

PRIVATE_ETC = 'mount --bind "$0" /etc && exec "$@"'


class Remapped(Daemon):
    """A coved with an /etc of its own, in which it may make the account ``dockremap``."""

    def __init__(self, name: str, *flags: str) -> None:
        super().__init__(name, *flags)
        self.etc = Path(tempfile.mkdtemp(prefix=f"{name}-etc"))
        shutil.copytree("/etc", self.etc, symlinks=True, dirs_exist_ok=True)
        for file in ("subuid", "subgid"):
            (self.etc / file).write_text("")

    def argv(self) -> list[str]:
        return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", PRIVATE_ETC, str(self.etc), *super().argv()]

    def close(self) -> None:
        try:
            super().close()
        finally:
            shutil.rmtree(self.etc)
