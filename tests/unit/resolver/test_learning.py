"""Names that are told of, whether anybody listens or not."""

from cove.resolver.learning import MAX_ADDRESSES, MAX_NAMES, Learning
from cove.resolver.messages import Seen


class Daemon:
    def __init__(self) -> None:
        self.listens = True
        self.told: list[tuple[str, list[str]]] = []

    def tell(self, seen: Seen) -> bool:
        if self.listens:
            self.told.append((seen.name, seen.addresses))
        return self.listens


def test_each_name_is_told_of_once_and_again_with_a_new_address() -> None:
    daemon = Daemon()
    learning = Learning("c1", daemon.tell)
    for addresses in (["192.0.2.1"], ["192.0.2.1"], [], ["192.0.2.2"]):
        learning.note("a.test", addresses)
    assert daemon.told == [("a.test", ["192.0.2.1"]), ("a.test", ["192.0.2.1", "192.0.2.2"])]


def test_what_nobody_heard_is_said_later() -> None:
    daemon = Daemon()
    learning = Learning("c1", daemon.tell)
    learning.note("a.test", ["192.0.2.1"])
    daemon.listens = False
    learning.note("b.test", ["192.0.2.2"])
    daemon.listens = True
    learning.note("c.test", ["192.0.2.3"])
    assert [name for name, _addresses in daemon.told] == ["a.test", "b.test", "c.test"]
    learning.tell_again()
    assert len(daemon.told) == 6


def test_it_is_bounded() -> None:
    daemon = Daemon()
    learning = Learning("c1", daemon.tell)
    for number in range(MAX_NAMES + 10):
        learning.note(f"n{number}.test", ["192.0.2.1"])
    assert len(daemon.told) == MAX_NAMES
    learning.note("n0.test", [f"192.0.2.{number}" for number in range(MAX_ADDRESSES + 10)])
    assert len(daemon.told[-1][1]) == MAX_ADDRESSES
