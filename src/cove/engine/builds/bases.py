"""Base images of builds: those that are here, and those that a pull brings."""

from collections.abc import Mapping
from dataclasses import dataclass

from cove.build.progress.progress import Listener, Noted
from cove.dockerfile import context_name
from cove.engine.transfers import Transfers
from cove.errors import InvalidArgument, NotFound, Unimplemented
from cove.images import Image, Images
from cove.platform import Platform
from cove.reference import Reference
from cove.wire.builds import BuildOptions
from cove.wire.images import AuthConfig


@dataclass(frozen=True)
class NamedImage:
    """An image that stands in for what the Dockerfile names. ``here``: no registry is to be asked for it."""

    name: str
    here: bool = False


class BuildBases:
    """Finds base images for builds."""

    def __init__(self, images: Images, transfers: Transfers) -> None:
        self._images = images
        self._transfers = transfers

    def of(self, options: BuildOptions, named: Mapping[str, NamedImage]) -> "Bases":
        """For one build, with its credentials. ``named``: images that stand in for what the Dockerfile names."""
        return Bases(self._images, self._transfers, options.pull, options.auths, named)


class Bases:
    """Meets ``build.builder.Bases``. ``pull``: ask registries even for what is here."""

    def __init__(
        self,
        images: Images,
        transfers: Transfers,
        pull: bool,
        auths: Mapping[str, AuthConfig],
        named: Mapping[str, NamedImage],
    ) -> None:
        self._images = images
        self._transfers = transfers
        self._pull = pull
        self._auths = auths
        self._named = {context_name(name): image for name, image in named.items()}

    async def image(self, name: str, platform: Platform, listener: Listener) -> Image:
        """Raises NotFound, InvalidArgument."""
        given = self._named.get(context_name(name), NamedImage(name))
        name, found = given.name, self._here(given.name, platform)
        if found is not None and (given.here or not self._pull):
            return found
        try:
            await self._fetch(name, platform, listener)
        except (Unimplemented, NotFound):
            if found is not None:
                return found
            raise
        found = self._here(name, platform)
        if found is None:
            raise NotFound(f"No such image: {name}")
        return found

    def _here(self, name: str, platform: Platform) -> Image | None:
        try:
            image = self._images.resolve(name, platform)
        except NotFound:
            return None
        return image if platform.preference(image.platform) is not None else None

    async def _fetch(self, name: str, platform: Platform, listener: Listener) -> None:
        reference = Reference.parse(name).with_default_tag()
        auth = self._auth(reference)
        async for line in self._transfers.pull(name, tag="", platform=str(platform), auth=auth):
            if line.error:
                raise InvalidArgument(line.error)
            if line.status and not line.id:
                listener(Noted(f"pull {name}", line.status))

    def _auth(self, reference: Reference) -> AuthConfig | None:
        hub = reference.domain in ("docker.io", "index.docker.io")
        return self._auths.get("https://index.docker.io/v1/" if hub else reference.domain)
