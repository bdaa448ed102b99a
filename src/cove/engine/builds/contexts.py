"""Where the files of a build come from: the request's body, what is kept of earlier builds, or somewhere else."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from cove.build.builder import MOST_DOCKERFILE, Builder, Request
from cove.build.contexts import KEPT, KeptContexts, RemoteContexts
from cove.build.planning.graph import Context
from cove.dockerfile.ignore import FILE_NAME, SIZE_LIMIT, Matcher, cleaned, parse_ignore_file
from cove.engine.builds.bodies import whole
from cove.errors import InvalidArgument
from cove.wire.builds import BuildOptions

IN_BODY = "-"
"""The name of a Dockerfile that the request's body is, while the context is fetched."""


class BuildContexts:
    """The main context of each build."""

    def __init__(self, builder: Builder, kept: KeptContexts, remote: RemoteContexts) -> None:
        self._builder = builder
        self.kept = kept
        self._remote = remote

    @contextlib.asynccontextmanager
    async def of(
        self, request: Request, options: BuildOptions, chunks: AsyncIterator[bytes], scratch: Path
    ) -> AsyncIterator[tuple[Request, dict[str, Context]]]:
        """The context, as long as the build lasts, and the request, which may get its Dockerfile here."""
        if options.remote.startswith(KEPT):
            async with self.kept.taken(options.remote.removeprefix(KEPT)) as context:
                yield await self._without_hidden(request, context)
        elif options.remote:
            yield await self._elsewhere(request, options.remote, chunks, scratch)
        else:
            context = await self._builder.receive(chunks, scratch)
            yield await self._without_hidden(request, context)

    async def _elsewhere(
        self, request: Request, url: str, chunks: AsyncIterator[bytes], scratch: Path
    ) -> tuple[Request, dict[str, Context]]:
        """What a URL names, with the Dockerfile that is in it, or in the body. Raises InvalidArgument, Unavailable."""
        if request.dockerfile == IN_BODY:
            request = replace(request, dockerfile=await whole(chunks, MOST_DOCKERFILE, "the Dockerfile"))
        name = request.dockerfile if isinstance(request.dockerfile, str) else ""
        found, dockerfile = await self._remote.context(url, name, scratch)
        if dockerfile is None:
            return request, {"": found} if found is not None else {}
        if not name:
            raise InvalidArgument("build context is not an archive")
        return replace(request, dockerfile=dockerfile), {}

    async def _without_hidden(self, request: Request, context: Context) -> tuple[Request, dict[str, Context]]:
        """What the ignore file leaves out and clients send all the same, the Dockerfile and itself, no COPY is to see.

        The request then has the Dockerfile, and what is left out. Raises InvalidArgument for patterns without meaning.
        """
        patterns = await self._builder.read(context, FILE_NAME, SIZE_LIMIT)
        if patterns is None or not isinstance(request.dockerfile, str):
            return request, {"": context}
        matcher, name = Matcher(parse_ignore_file(patterns)), cleaned("/" + request.dockerfile)[1:]
        if await self._builder.read(context, name + FILE_NAME, SIZE_LIMIT) is None:  # else that one counts
            request = replace(request, ignored=matcher)
        hidden = {path for path in (FILE_NAME, name) if matcher.ignores(path)}
        if name in hidden:
            text = await self._builder.read(context, name, MOST_DOCKERFILE)
            request = request if text is None else replace(request, dockerfile=text)
        return request, {"": await self._builder.hide(context, hidden) if hidden else context}
