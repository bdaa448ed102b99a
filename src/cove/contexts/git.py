"""Fetching a git repository with the program ``git``, which is told to trust nothing of it and to ask nobody.

No hooks of the repository or of the user's configuration are run, and no protocol reaches the machine's own files or
programs. Addresses were checked by ``cove.dockerfile.git``, so none can pass for an option.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from cove.dockerfile.git import GitSource
from cove.errors import Cancelled, InvalidArgument, Unavailable

SECONDS = 600
"""How long each call of git may take."""

_MOST_WORDS = 2000
"""Characters of what git says that are told on."""

_SETTINGS = {
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.git.allow": "always",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
    "advice.detachedHead": "false",
    "init.defaultBranch": "main",
    "fetch.fsckObjects": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
}


class Clone:
    """One repository on its way to a directory. ``cancel``, from another thread, ends ``run`` early.

    ``personal``: use the configuration and the keys of whoever runs this, as a user expects of their own command line.
    """

    def __init__(self, source: GitSource, directory: Path, *, personal: bool = False, seconds: float = SECONDS) -> None:
        self._source = source
        self._directory = directory
        self._seconds = seconds
        self._environment = _environment(personal)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self) -> str:
        """Fetch and check out; the commit. The directory is made. Raises InvalidArgument, Unavailable, Cancelled."""
        source = self._source
        self._git("init", "--quiet", str(self._directory), at="/")
        self._fetch()
        commit = self._git("rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
        if source.checksum and not commit.startswith(source.checksum.lower()):
            raise InvalidArgument(f"expected checksum to match {source.checksum}, got {commit}")
        self._git("checkout", "--quiet", "--detach", commit)
        if source.submodules and (self._directory / ".gitmodules").is_file():
            self._git("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
        if not source.keep_git_dir:
            _remove_git_directories(self._directory)
        return commit

    def current(self) -> str:
        """The commit that the server has under the name that is asked for; nothing when it has none.

        Raises Unavailable, Cancelled.
        """
        wanted = self._source.ref or "HEAD"
        listed = self._git("ls-remote", "--quiet", "--", self._source.remote, wanted, f"{wanted}^{{}}", at="/")
        commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        for name in (wanted, f"refs/{wanted}", f"refs/tags/{wanted}", f"refs/heads/{wanted}"):
            if name in commits:
                return commits.get(f"{name}^{{}}", commits[name])  # of a tag with a text of its own, what it is on
        return ""

    @property
    def root(self) -> Path:
        """The directory of the repository that was asked for. Raises InvalidArgument when it has none of that name."""
        root = self._directory / self._source.directory
        real = Path(os.path.realpath(root))
        if not real.is_relative_to(os.path.realpath(self._directory)) or not real.is_dir():
            raise InvalidArgument(f"{self._source.directory} is no directory of the repository {self._source.remote}")
        return real

    def cancel(self) -> None:
        """End what runs, and let nothing else begin."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                _kill(self._process)

    def _fetch(self) -> None:
        """What was asked for, alone if the server can do that, else everything."""
        wanted = self._source.checksum if self._source.fetch_by_commit else self._source.ref or "HEAD"
        fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
        try:
            self._git(*fetch, "--depth=1", "--", self._source.remote, wanted)
        except Unavailable as error:
            self._fetch_all(wanted, error)

    def _fetch_all(self, wanted: str, error: Unavailable) -> None:
        everything = ("+HEAD:refs/cove/HEAD", "+refs/*:refs/cove/*")
        self._git("fetch", "--quiet", "--no-recurse-submodules", "--", self._source.remote, *everything)
        short = wanted.removeprefix("refs/")
        for name in (f"refs/cove/{short}", f"refs/cove/heads/{wanted}", f"refs/cove/tags/{wanted}", wanted):
            with contextlib.suppress(Unavailable):
                commit = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
                self._git("update-ref", "FETCH_HEAD", commit)
                return
        raise error

    def _git(self, *arguments: str, at: str = "") -> str:
        """What a call of git prints. Raises Unavailable with what it said when it failed."""
        with self._lock:
            if self._cancelled:
                raise Cancelled("fetching the repository was cancelled")
            self._process = process = self._start(arguments, at or str(self._directory))
        try:
            output, errors = process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            raise Unavailable(
                f"git {arguments[0]} of {self._source.remote} took more than {self._seconds:g} s"
            ) from None
        if self._cancelled:
            raise Cancelled("fetching the repository was cancelled")
        if process.returncode:
            said = errors.decode("utf-8", "replace").strip()[-_MOST_WORDS:]
            raise Unavailable(f"git {arguments[0]} of {self._source.remote} failed: {said}")
        return output.decode("utf-8", "replace")

    def _start(self, arguments: tuple[str, ...], at: str) -> "subprocess.Popen[bytes]":
        program = shutil.which("git")
        if program is None:
            raise Unavailable("git repositories need the program git, which is not installed")
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return subprocess.Popen(
            [program, *settings, *arguments],
            cwd=at,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def _environment(personal: bool) -> dict[str, str]:
    """Of the user's own command line, or of nobody."""
    fixed = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    if personal:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return {**inherited, **fixed}
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {"PATH": path, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", **fixed}


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _remove_git_directories(directory: Path) -> None:
    """The repository's own directory, and the files that stand for it in submodules."""
    shutil.rmtree(directory / ".git")
    for found in directory.rglob(".git"):
        if found.is_file() and not found.is_symlink():
            found.unlink()
