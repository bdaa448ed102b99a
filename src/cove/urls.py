"""URLs as they may be shown. Pure."""

import re

_USER = re.compile(r"^([^:/?#]+://)[^/?#]*@")


def without_user(url: str) -> str:
    """A URL without the user, the password or the token before its host. What is no URL stays as it is."""
    return _USER.sub(r"\1", url)
