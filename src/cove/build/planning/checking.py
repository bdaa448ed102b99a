"""BuildKit's checks of a Dockerfile that is being built: of the stages that are needed, with what their bases say."""

from collections.abc import Iterable
from dataclasses import replace

from cove.build.planning.configuring import environment
from cove.dockerfile import ImageOrigin, Plan
from cove.dockerfile.checks import Base, Report, Surroundings, check
from cove.dockerfile.ignore import Matcher
from cove.images import Image
from cove.oci.image import Config
from cove.platform import Platform


def checked(plan: Plan, images: Iterable[tuple[str, Image]], ignored: Matcher | None) -> Report:
    """What is found. Raises DockerfileError for options that are wrong.

    ``images``: the bases, by the name in FROM. ``ignored``: what is left out of the context, if that is known.
    """
    wanted = {stage.base.name for stage in plan.stages if isinstance(stage.base, ImageOrigin)}
    bases: dict[str, Base] = {}
    for name, image in images:
        if name in wanted:
            bases[name] = _base(image, bases.get(name))
    report = check(plan.dockerfile, plan.options, Surroundings(bases, ignored), advice=False, unused=False)
    if report.error is not None:
        raise report.error
    return report


def _base(image: Image, other: Base | None) -> Base:
    """``other``: the same name for another platform, after which nothing can be said of platforms."""
    config = image.config.config or Config()
    of = image.config
    platform = Platform(of.os, of.architecture, of.variant) if of.architecture else None
    base = Base(environment(config), bool(config.shell), config.user, platform)
    return base if other is None or other.platform == platform else replace(base, platform=None)
