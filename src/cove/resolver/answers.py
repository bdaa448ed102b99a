"""Answers that need nobody else: names and addresses of the container's own networks.

An answer is prepared once and kept by the bytes of its question, until any name changes; so the usual query costs one
look into a dictionary. Where a name stands for several addresses, each of them comes first in turn.
"""

from collections.abc import Iterator
from itertools import cycle

from cove.resolver import packets
from cove.resolver.messages import Endpoint
from cove.resolver.names import Address, Names, reversed_address
from cove.resolver.packets import Question

TTL = 5
"""Seconds. A container that starts again may have another address; Docker says 600, and whoever believes it waits."""

_CACHED = 512
"""Answers that are kept for one container."""

_ROTATIONS = 16


class Answers:
    """What one container is told. ``endpoints`` may be replaced at any time."""

    def __init__(self, names: Names) -> None:
        self.endpoints: list[Endpoint] = []
        self._names = names
        self._generation = -1
        self._prepared: dict[bytes, Iterator[bytes]] = {}

    def prepared(self, query: bytes) -> bytes | None:
        """The answer over UDP to a query that was answered before; without its number, which is the query's."""
        if self._generation != self._names.generation:
            self._generation = self._names.generation
            self._prepared.clear()
        found = self._prepared.get(query[2:])
        return next(found) if found is not None else None

    def datagram(self, query: bytes, asked: Question) -> bytes | None:
        """The answer over UDP, kept for the next time; None when the question is not for us."""
        if (answers := self._answers(query, asked, limit=asked.payload)) is None:
            return None
        if len(self._prepared) >= _CACHED:
            self._prepared.clear()
        kept = cycle([answer[2:] for answer in answers])
        self._prepared[query[2:]] = kept
        return query[:2] + next(kept)

    def stream(self, query: bytes, asked: Question) -> bytes | None:
        """The answer over TCP; None when the question is not for us."""
        answers = self._answers(query, asked, limit=65535)
        return answers[0] if answers is not None else None

    def _answers(self, query: bytes, asked: Question, limit: int) -> list[bytes] | None:
        """Every order in which the answer may come."""
        if asked.scope != packets.IN:
            return None
        if asked.kind == packets.PTR and (address := reversed_address(asked.name)) is not None:
            return self._reverse(query, asked, address)
        found = self._names.addresses(self.endpoints, asked.name)
        if found is None:
            return None
        family = {packets.A: 4, packets.AAAA: 6}.get(asked.kind)
        data = [address.packed for address in found if address.version == family]
        turns = range(min(len(data), _ROTATIONS) or 1)
        return [packets.answer(query, asked, data[turn:] + data[:turn], TTL, limit=limit) for turn in turns]

    def _reverse(self, query: bytes, asked: Question, address: Address) -> list[bytes] | None:
        owner = self._names.owner(self.endpoints, address)
        if owner is None:
            return None
        if not owner:
            return [packets.refusal(query, asked, packets.NXDOMAIN)]
        return [packets.answer(query, asked, [packets.encode_name(owner)], TTL)]
