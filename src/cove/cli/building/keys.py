"""``--ssh id=key,…``: an agent of our own with these keys, for the time of one build. Its program is OpenSSH's."""

from __future__ import annotations

import os
import subprocess
import tempfile

from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 100 << 10
"""Bytes of a key."""
_SCRIPT = 'ssh-agent -D -a "$1/agent" & cat; kill $!; wait; rm -r "$1"'
"""The agent goes with the pipe on stdin, however the command line ends."""


class KeyAgent:
    """``path``: of the socket. Raises Failure naming a key that is none."""

    def __init__(self, keys: Sequence[str]) -> None:
        directory = tempfile.mkdtemp(prefix="cove-ssh-")
        self.path = f"{directory}/agent"
        argv = ["sh", "-c", _SCRIPT, "sh", directory]
        self._agent = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            assert self._agent.stdout is not None
            if not self._agent.stdout.readline():  # it says where it is as soon as it is there
                raise Failure("--ssh with keys needs OpenSSH's ssh-agent and ssh-add")
            for key in keys:
                self._add(key)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the keys."""
        self._agent.communicate()

    def _add(self, key: str) -> None:
        """Its passphrase is asked for on the terminal. It is read here, so that ssh-add does not judge its mode."""
        try:
            with open(key, "rb") as file:
                content = file.read(_MOST)
        except OSError as error:
            raise Failure(f"invalid value for --ssh: {key}: {error.strerror}") from error
        environment = {**os.environ, "SSH_AUTH_SOCK": self.path}
        added = subprocess.run(["ssh-add", "-q", "-"], input=content, env=environment, capture_output=True)
        if added.returncode:
            said = added.stderr.decode("utf-8", "replace").strip()
            raise Failure(f"invalid value for --ssh: {key} is neither an agent's socket nor a private key: {said}")
