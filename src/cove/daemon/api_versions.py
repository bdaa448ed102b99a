"""The oldest API version that is served: Docker's environment variable may ask for a newer one than ours."""

import os
import re

from cove.errors import InvalidArgument
from cove.wire import versions

VARIABLE = "DOCKER_MIN_API_VERSION"


def oldest() -> versions.ApiVersion:
    """Raises InvalidArgument in dockerd's words."""
    given = os.environ.get(VARIABLE, "")
    if not given:
        return versions.OLDEST
    match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", given)
    if match is None:
        reason = 'API version must be provided without "v" prefix' if given[0] in "vV" else "it is not MAJOR.MINOR"
        raise InvalidArgument(f"invalid {VARIABLE}: {reason}: {given}")
    wanted = int(match[1]), int(match[2])
    if wanted < versions.OLDEST:
        least = versions.text(versions.OLDEST)
        raise InvalidArgument(f"invalid {VARIABLE}: minimum supported API version is {least}: {given}")
    if wanted > versions.NEWEST:
        most = versions.text(versions.NEWEST)
        raise InvalidArgument(f"invalid {VARIABLE}: maximum supported API version is {most}: {given}")
    return wanted
