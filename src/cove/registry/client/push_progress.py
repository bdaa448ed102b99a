"""The line of one layer in a push or a copy, as the stock command line draws it for Docker."""

from collections.abc import Callable

from cove.registry.client.progress import Bar, Step, Tell

SHORT = 12


class Line:
    """``digest``: of which the first digits name the line; of a push the diff id."""

    def __init__(self, digest: str, tell: Tell) -> None:
        self._id = digest.partition(":")[2][:SHORT]
        self._tell = tell
        self._bar = Bar(self._id, tell)

    def preparing(self) -> None:
        self._say("Preparing")

    def waiting(self) -> None:
        self._say("Waiting")

    def exists(self) -> None:
        self._say("Layer already exists")

    def mounted(self, source: str) -> None:
        self._say(f"Mounted from {source}")

    def skipped(self) -> None:
        self._say("Skipped foreign layer")

    def pushed(self) -> None:
        self._say("Pushed")

    def compressing(self, done: int, total: int) -> None:
        """So many bytes of a layer that is kept as it is are compressed."""
        self._bar.at("Preparing", done, total)

    def progress(self, total: int, status: str = "Pushing") -> Callable[[int], None]:
        """To be told how many bytes are sent."""
        return lambda sent: self._bar.at(status, sent, total)

    def copied(self) -> None:
        self._say("Copied")

    def _say(self, status: str) -> None:
        self._tell(Step(status, self._id, 0))
