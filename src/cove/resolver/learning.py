"""The names that a container asks for while it learns, with their addresses, until a daemon has been told of them."""

from collections.abc import Callable

from cove.resolver.messages import Seen

MAX_NAMES, MAX_ADDRESSES = 512, 64
"""Names of one container, and addresses of one name."""


class Learning:
    """``tell`` says whether anybody was there to hear it: the daemon may be away for a while."""

    def __init__(self, container: str, tell: Callable[[Seen], bool]) -> None:
        self._container = container
        self._tell = tell
        self._names: dict[str, dict[str, None]] = {}
        self._untold: dict[str, None] = {}

    def note(self, name: str, addresses: list[str]) -> None:
        """A name was asked for, and this is what it stood for."""
        if name not in self._names and len(self._names) >= MAX_NAMES:
            return
        known = self._names.setdefault(name, {})
        fresh = [address for address in addresses if address not in known][: MAX_ADDRESSES - len(known)]
        if fresh:
            known.update(dict.fromkeys(fresh))
            self._untold[name] = None
            self.tell()

    def tell_again(self) -> None:
        """Everything, to a daemon that was not there."""
        self._untold = dict.fromkeys(self._names)
        self.tell()

    def tell(self) -> None:
        for name in list(self._untold):
            if not self._tell(Seen(self._container, name, list(self._names[name]), denied=False)):
                return
            del self._untold[name]
