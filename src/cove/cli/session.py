"""What one run of the command line works with: the daemon it talks to, the configuration directory, the streams."""

from __future__ import annotations

import os
import sys

from cove.cli.failure import Failure, describe
from cove.client.api import Client
from cove.client.transport import DEFAULT_HOST, STOCK_HOST, Endpoint, TLSFiles
from cove.errors import CoveError, InvalidArgument, NotFound, NotModified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cove.flags import Values


class Session:
    """``path`` is the command as typed ("container ls"); ``client`` connects when it is first used."""

    def __init__(self, options: Values, path: str = "") -> None:
        self.options = options
        self.path = path
        self.stdout = sys.stdout
        self.stderr = sys.stderr
        self._client: Client | None = None
        self._config: dict[str, Any] | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = self.connect()
        return self._client

    def connect(self) -> Client:
        """A further connection to the same daemon, for what runs beside a stream."""
        version = self._client.version if self._client else _first("COVE_API_VERSION", "DOCKER_API_VERSION")
        try:
            return Client(Endpoint(self.host, self._tls()), version or None)
        except InvalidArgument as error:
            raise Failure(error.message) from error

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def host(self) -> str:
        hosts = self.options.many("host")
        if len(hosts) > 1:
            raise Failure("Specify only one -H")
        return hosts[0] if hosts else _first("COVE_HOST", "DOCKER_HOST") or _default_host()

    @property
    def config_directory(self) -> str:
        given = self.options.text("config") or _first("COVE_CONFIG", "DOCKER_CONFIG")
        return given or os.path.join(os.path.expanduser("~"), ".docker")

    @property
    def config(self) -> dict[str, Any]:
        """The client's config.json; empty when there is none."""
        if self._config is None:
            self._config = _read_config(os.path.join(self.config_directory, "config.json"))
        return self._config

    def print(self, text: str = "") -> None:
        self.stdout.write(text + "\n")

    def warn(self, text: str) -> None:
        """To stderr, after what is already on stdout."""
        self.stdout.flush()
        self.stderr.write(text + "\n")
        self.stderr.flush()

    def _tls(self) -> TLSFiles | None:
        options = self.options
        verify = options.on("tlsverify") if options.changed("tlsverify") else bool(_first("DOCKER_TLS_VERIFY"))
        if not verify and not options.on("tls"):
            return None
        directory = _first("DOCKER_CERT_PATH") or self.config_directory
        defaults = [os.path.join(directory, f"{name[3:]}.pem") for name in _TLS_FILES]
        found = [path if os.path.exists(path) else "" for path in defaults]
        ca, cert, key = (options.text(name) or path for name, path in zip(_TLS_FILES, found, strict=True))
        return TLSFiles(ca or (defaults[0] if verify else ""), cert, key, verify)


_TLS_FILES = ("tlscacert", "tlscert", "tlskey")


def for_each(session: Session, names: list[str], act: Callable[[str], object], ignore_missing: bool = False) -> int:
    """Do ``act(name)`` for each and print the name; the failures are reported together at the end.

    ``ignore_missing`` is for forced removal: what is not there is reported, and is no failure.
    """
    problems = []
    for name in names:
        try:
            act(name)
        except NotModified:
            session.print(name)
        except NotFound as error:
            if ignore_missing:
                session.warn(describe(error))
            else:
                problems.append(describe(error))
        except CoveError as error:
            problems.append(describe(error))
        else:
            session.print(name)
    if problems:
        raise Failure("\n".join(problems))
    return 0


def _default_host() -> str:
    return STOCK_HOST if os.path.basename(sys.argv[0]) == "docker" else DEFAULT_HOST


def _first(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _read_config(path: str) -> dict[str, Any]:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            loaded = json.load(file)
    except OSError:
        return {}
    except ValueError as error:
        raise Failure(f"Error loading config file: {path}: {error}") from error
    return loaded if isinstance(loaded, dict) else {}
