"""``cove login`` and ``cove logout``"""

from __future__ import annotations

import sys

from cove.cli.command import Arguments, Command
from cove.cli.credentials import HUB_KEY, erase, key_of, lookup, store
from cove.cli.failure import Failure
from cove.cli.terminal import STDIN, is_terminal
from cove.errors import CoveError
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

_UNENCRYPTED = """
WARNING! Your credentials are stored unencrypted in '{}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
"""
_INSECURE = "WARNING! Using --password via the CLI is insecure. Use --password-stdin."
_NO_TERMINAL = "Error: Cannot perform an interactive login from a non TTY device"


def _login(session: Session, values: Values, arguments: list[str]) -> int:
    key = key_of(arguments[0] if arguments else "")
    username, password = _given(session, values)
    known = {} if values.changed("username") or values.changed("password") else lookup(session, key)
    if known and not password:
        session.print("Authenticating with existing credentials...")
        wish = known
    else:
        username, password = _asked(session, key, username, password)
        wish = {"username": username, "password": password, "serveraddress": key}
    answer = _authenticated(session, wish)
    secret = str(wish.get("password", ""))
    token = str(answer.get("IdentityToken") or wish.get("identitytoken") or "")
    path = store(session, key, str(wish.get("username", "")), secret, token)
    if path and not known:
        session.stderr.write(_UNENCRYPTED.format(path) + "\n")
    session.print(str(answer.get("Status") or "Login Succeeded"))
    return 0


def _authenticated(session: Session, wish: dict[str, str]) -> dict[str, str]:
    try:
        return session.client.json("POST", "/auth", None, wish) or {}
    except CoveError as error:
        raise Failure(f"Error response from daemon: {error.message}") from error


def _given(session: Session, values: Values) -> tuple[str, str]:
    """What the flags say. Raises Failure in Docker's words."""
    username, password = values.text("username"), values.text("password")
    if values.changed("password") and not password:
        raise Failure("password is empty")
    if password:
        session.warn(_INSECURE)
        if values.on("password-stdin"):
            raise Failure("--password and --password-stdin are mutually exclusive")
    if values.on("password-stdin"):
        if not username:
            raise Failure("the --password-stdin option requires --username to be set")
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        if not password:
            raise Failure("password is empty")
    return username, password


def _asked(session: Session, key: str, username: str, password: str) -> tuple[str, str]:
    """What is still missing, from the terminal."""
    if username and password:
        return username, password
    if not is_terminal(STDIN):
        raise Failure(_NO_TERMINAL)
    if not username:
        where = "Docker Hub" if key == HUB_KEY else key
        session.stdout.write(f"Log in to {where}.\nUsername: ")
        session.stdout.flush()
        username = sys.stdin.readline().strip()
        if not username:
            raise Failure("Error: Non-null Username Required")
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
        if not password:
            raise Failure("Error: Password Required")
    return username, password


def _logout(session: Session, values: Values, arguments: list[str]) -> int:
    key = key_of(arguments[0] if arguments else "")
    session.print(f"Removing login credentials for {key}")
    if not erase(session, key):
        session.print(f"Not logged in to {key}")
    return 0


LOGIN = Command(
    _login,
    "[OPTIONS] [SERVER]",
    Arguments(0, 1),
    (
        Flag("password", STRING, "Password or Personal Access Token (PAT)", "p"),
        Flag("password-stdin", BOOL, "Take the Password or Personal Access Token (PAT) from stdin"),
        Flag("username", STRING, "Username", "u"),
    ),
    long="Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
)

LOGOUT = Command(
    _logout,
    "[SERVER]",
    Arguments(0, 1),
    long="Log out from a registry.\nIf no server is specified, the default is defined by the daemon.",
)
