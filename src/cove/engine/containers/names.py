"""Container names: the rule for those that users give, and made-up ones for the rest."""

import random
import re

from cove.errors import InvalidArgument

NAME_PATTERN = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
"""Docker's RestrictedNameChars; two characters at least."""

_NAME = re.compile(f"/?{NAME_PATTERN}+")

_MANNERS = (
    "able agile airy amber ample apt arctic avid azure bold brave breezy bright brisk calm candid cheery civil "
    "clear clever coastal cosy crisp curious daring deft dewy eager early earnest easy fair fleet fond frank fresh "
    "gentle glad golden grand green happy hardy hearty honest humble jolly keen kind lively loyal lucid lucky "
    "mellow merry mild neat nimble noble open patient placid plucky polite proud quick quiet ready salty serene "
    "sharp silver sleek smart snug sober solid spry steady still stout sunny swift tidal tidy trim true upbeat "
    "vivid warm wise witty young"
).split()

_WATERS = (
    "alcove anchor anemone bay beach beacon bight breaker breeze brig buoy canal cape channel clam cliff clipper "
    "coast conch coral crab creek current cutter delta dinghy dock dolphin dune ebb eddy estuary ferry fjord foam "
    "galley gulf gull harbour haven headland heron inlet island islet jetty kayak kelp ketch lagoon lantern "
    "lighthouse limpet marina marlin marsh mast mooring mussel narwhal oar ocean osprey otter oyster pearl pebble "
    "pelican pier pilot plover pond porpoise quay raft reef regatta ripple rudder sail sandbar schooner seal shell "
    "shoal shore skiff sloop sound spray squall starfish strait surf swell tern tide trawler turtle urchin walrus "
    "wave wharf yawl"
).split()


def checked(name: str) -> str:
    """The name without its leading slash. Raises InvalidArgument, in Docker's words, when it breaks the rule."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"Invalid container name ({name}), only {NAME_PATTERN} are allowed")
    return name.removeprefix("/")


def made_up() -> str:
    """A name of two words; there are some 10,000 of them, and a caller that finds one taken asks again."""
    return f"{random.choice(_MANNERS)}_{random.choice(_WATERS)}"
