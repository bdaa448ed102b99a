"""``cove doctor``: what the host offers, and what is unsafe on it, in the daemon's settings, and in containers.

Each check is a row of a table: ``offers`` (the kernel), ``host``, ``containers``; the daemon has one for its settings.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cove.engine.containers.record import Record
from cove.engine.containers.registry import Registry
from cove.engine.doctor import containers, host, offers
from cove.engine.doctor.check import SEVERITIES, examine
from cove.kernel import features
from cove.kernel.cgroups import layout
from cove.wire.doctor import Diagnosis, Finding, Offer


class Standing(NamedTuple):
    """What of the daemon is looked at. ``sockets``: paths of the API's. ``configured``: findings in its settings.

    ``obstacles``: rules of the host's that keep containers from the world; may block.
    """

    data_root: Path
    run_root: Path
    group: str
    layers: str
    sockets: Sequence[str]
    seccomp: str
    remapped: bool
    configured: Callable[[], Sequence[Finding]]
    obstacles: Callable[[], Sequence[str]]


class Doctor:
    def __init__(self, registry: Registry, standing: Standing) -> None:
        self._registry = registry
        self.standing = standing

    async def diagnose(self, references: Sequence[str]) -> Diagnosis:
        """Of everything, or of these containers alone. Raises NotFound. The looking is done in a thread."""
        chosen = [self._registry.get(reference) for reference in references] if references else list(self._registry)
        records = [container.record for container in chosen]
        return await asyncio.to_thread(self._diagnose, records, with_host=not references)

    def _diagnose(self, records: Sequence[Record], *, with_host: bool) -> Diagnosis:
        found = self._of_host() if with_host else []
        for record in sorted(records, key=lambda record: record.name):
            found += self._of_container(record)
        found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
        return Diagnosis(offers=self._offers() if with_host else [], findings=found, containers=len(records))

    def _offers(self) -> list[Offer]:
        return offers.offered(offers.Machine(layout(), self.standing.group, self.standing.layers))

    def _of_host(self) -> list[Finding]:
        standing = self.standing
        facts = host.gather(standing.data_root, standing.run_root, standing.sockets, standing.obstacles())
        return [*examine(host.CHECKS, facts, "host"), *standing.configured()]

    def _of_container(self, record: Record) -> list[Finding]:
        standing = self.standing
        subject = containers.Subject(
            record,
            own=(str(standing.data_root), str(standing.run_root), *standing.sockets),
            seccomp=standing.seccomp,
            remapped=standing.remapped,
            modules=tuple(features.security_modules()),
        )
        return examine(containers.CHECKS, subject, f"container {record.name}", record.id)
