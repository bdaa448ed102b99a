"""What checks may know beside the text: base images, and the context."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cove.dockerfile.ignore import Matcher
from cove.platform import Platform


@dataclass(frozen=True, slots=True)
class Base:
    """What matters of a base image's configuration."""

    environment: Mapping[str, str] = field(default_factory=dict)
    shell: bool = False
    """Whether it sets a shell."""
    user: str = ""
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known; of what is not, nothing is said."""

    bases: Mapping[str, Base] = field(default_factory=dict)
    """Base images by the name in FROM, after variables are replaced."""
    ignored: Matcher | None = None
    """The patterns of the ignore file; None where it is not known whether there is one."""
