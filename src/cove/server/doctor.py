"""The route that says what is unsafe; it is ours."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.server.reply import reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.doctor import Diagnosis


class Doctor(Protocol):
    async def diagnose(self, references: Sequence[str]) -> Diagnosis:
        """Of host, daemon and all containers, or of the named containers alone. Raises NotFound."""


class DoctorRoutes:
    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor

    def table(self) -> Sequence[Route]:
        return (Route("GET", "/cove/doctor", self.diagnose),)

    async def diagnose(self, request: Request) -> web.Response:
        return reply(await self._doctor.diagnose(request.texts("container")), request.version)
