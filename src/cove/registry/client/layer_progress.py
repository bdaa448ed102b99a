"""The line of one layer in a pull, as the stock command line draws it for Docker."""

from cove.images.arrivals import Stage
from cove.registry.client.progress import Bar, Step, Tell

SHORT = 12
"""Digits of a digest that name a line."""


class Line:
    """Turns the stages of a layer into messages. ``digest`` and ``size``: of its blob."""

    def __init__(self, digest: str, size: int, tell: Tell) -> None:
        self._id = digest.partition(":")[2][:SHORT]
        self._size = size
        self._tell = tell
        self._stage = ""
        self._bar = Bar(self._id, tell)

    def already(self) -> None:
        self._say("Already exists")

    def announced(self) -> None:
        self._say("Pulling fs layer")

    def complete(self) -> None:
        if self._stage in ("", "waiting"):
            self._say("Download complete")
        self._say("Pull complete")

    def at(self, stage: Stage) -> None:
        """A stage was reached, or more of it."""
        changed, self._stage = stage.name != self._stage, stage.name
        match stage.name:
            case "waiting":
                self._say("Waiting")
            case "downloading":
                self._bar.at("Downloading", stage.done, self._size, at_once=changed)
            case "downloaded":
                self._say("Verifying Checksum")
                self._say("Download complete")
            case "extracting":
                self._bar.at("Extracting", stage.done, self._size, at_once=changed)

    def _say(self, status: str) -> None:
        self._tell(Step(status, self._id, 0))
