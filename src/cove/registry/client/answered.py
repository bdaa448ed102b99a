"""Which address of a registry answered last, for those where it takes a connection to find out each time."""

MOST = 64
"""Registries that are remembered; the one that is remembered longest goes."""


class Answered:
    """What one daemon knows, in memory."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}

    def note(self, host: str, url: str) -> None:
        """The registry answered at this URL."""
        self._urls.pop(host, None)
        self._urls[host] = url
        if len(self._urls) > MOST:
            del self._urls[next(iter(self._urls))]

    def url(self, host: str) -> str:
        """Where it answered last, or nothing."""
        return self._urls.get(host, "")
