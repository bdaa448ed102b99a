"""Where the files of a build come from: the request's body, what is kept of earlier builds, or somewhere else."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from cove.build.builder import MOST_DOCKERFILE, Builder, Request
from cove.build.contexts import KEPT, KeptContexts, RemoteContexts
from cove.build.planning.graph import Context
from cove.dockerfile.ignore import FILE_NAME, SIZE_LIMIT, Matcher, cleaned, parse_ignore_file
from cove.wire.builds import BuildOptions


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
            found, dockerfile = await self._remote.context(options.remote, options.dockerfile, scratch)
            request = request if dockerfile is None else replace(request, dockerfile=dockerfile)
            yield request, {"": found} if found is not None else {}
        else:
            context = await self._builder.receive(chunks, scratch)
            yield await self._without_hidden(request, context)

    async def _without_hidden(self, request: Request, context: Context) -> tuple[Request, dict[str, Context]]:
        """What the ignore file leaves out and clients send all the same, the Dockerfile and itself, no COPY is to see.

        The Dockerfile is in the request then. Raises InvalidArgument for patterns that mean nothing.
        """
        patterns = await self._builder.read(context, FILE_NAME, SIZE_LIMIT)
        if patterns is None or not isinstance(request.dockerfile, str):
            return request, {"": context}
        matcher, name = Matcher(parse_ignore_file(patterns)), cleaned("/" + request.dockerfile)[1:]
        hidden = {path for path in (FILE_NAME, name) if matcher.ignores(path)}
        if name in hidden:
            text = await self._builder.read(context, name, MOST_DOCKERFILE)
            request = request if text is None else replace(request, dockerfile=text)
        return request, {"": await self._builder.hide(context, hidden) if hidden else context}
