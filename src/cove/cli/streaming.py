"""What the attached commands (run, start, attach, exec) check before they begin."""

from __future__ import annotations

from cove.cli.failure import Failure
from cove.cli.terminal import DEFAULT_KEYS, STDIN, is_terminal, parse_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


class DetachKeys:
    """``text`` as it goes to the daemon ("" for its default), ``keys`` as they are typed."""

    __slots__ = ("keys", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.keys = parse_keys(text) if text else DEFAULT_KEYS


def detach_keys(session: Session, values: Values) -> DetachKeys:
    """From the flag, else from the configuration file. Raises Failure."""
    text = values.text("detach-keys") or str(session.config.get("detachKeys", ""))
    try:
        return DetachKeys(text)
    except ValueError:
        raise Failure(f"invalid detach keys ({text}): {text} is not a valid key sequence") from None


def check_terminal(stdin: bool, tty: bool) -> None:
    """A terminal that is asked for needs one on our side. Raises Failure."""
    if stdin and tty and not is_terminal(STDIN):
        raise Failure("the input device is not a TTY")
