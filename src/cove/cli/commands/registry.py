"""``cove registry``: this process becomes a registry."""

from __future__ import annotations

import json
import os
import sys

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.failure import Failure
from cove.flags import BOOL, STRING, Flag, Kind
from cove.units import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

LEVELS = ("debug", "info", "warning", "error")


def _serve(session: Session, values: Values, arguments: list[str]) -> int:
    """Replaces this process, as ``cove daemon`` does: the registry's code is nobody else's to import."""
    if not values.text("root"):
        raise Failure("--root is needed: the directory that the registry keeps everything in")
    settings = {
        "root": os.path.abspath(values.text("root")),
        "address": values.text("addr"),
        "htpasswd": values.text("htpasswd"),
        "tls_certificate": values.text("tlscert"),
        "tls_key": values.text("tlskey"),
        "tls_client_ca": values.text("tlscacert"),
        "read_only": values.on("read-only"),
        "upload_age": values["upload-age"],
        "log_level": values["log-level"],
    }
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "cove.registry.server.main", json.dumps(settings)])


def _seconds(text: str) -> float:
    from cove.errors import InvalidArgument

    try:
        seconds = parse_duration(text) / 1e9
    except InvalidArgument as error:
        raise ValueError(error.message) from None
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def _level(text: str) -> str:
    if text not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return text


SERVE = Command(
    _serve,
    "--root DIR [OPTIONS]",
    NO_ARGUMENTS,
    (
        Flag("addr", STRING, "Address to listen on", default="127.0.0.1:5000"),
        Flag("htpasswd", STRING, "Ask for a user of this file, whose passwords are hashed by bcrypt"),
        Flag("log-level", Kind("string", _level), f"What is logged ({', '.join(LEVELS)})", default="info"),
        Flag("read-only", BOOL, "Refuse every change"),
        Flag("root", STRING, "Directory that the registry keeps everything in"),
        Flag("tlscacert", STRING, "Ask clients for a certificate signed by this CA"),
        Flag("tlscert", STRING, "Serve TLS with this certificate"),
        Flag("tlskey", STRING, "Key of the certificate"),
        Flag(
            "upload-age",
            Kind("duration", _seconds),
            "Remove uploads that had no byte for so long",
            default=86400.0,
            shown="24h",
        ),
    ),
)
