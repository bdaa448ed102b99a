"""Whether a registry takes a user's credentials: what ``docker login`` asks the engine."""

from cove.errors import CoveError, Unauthorized, Upstream
from cove.registry.client.authorization import Credentials
from cove.registry.client.failures import NoCredentials, RegistryError, TokenRefused
from cove.registry.client.session import Request, Session
from cove.registry.client.settings import DEFAULTS, Registries


async def login(host: str, credentials: Credentials, registries: Registries = DEFAULTS) -> str:
    """Try credentials at a registry; the identity token that it gives, often none.

    Raises Unauthorized when they are refused, Upstream when the registry cannot be asked; in Docker's words.
    """
    async with Session(host, credentials, registries._replace(attempts=1), reading=False) as session:
        url = f"{await session.address()}/"
        try:
            async with session.request(Request("GET", "")):
                return session.identity_token
        except RegistryError as error:
            raise _refused(url, error) from error
        except NoCredentials as error:
            raise Unauthorized(error.message) from error


def _refused(url: str, error: RegistryError) -> CoveError:
    kind = Unauthorized if error.status in (401, 403) else Upstream
    if isinstance(error, TokenRefused):
        return kind(f'Get "{url}": unauthorized: {error.text}')
    return kind(f"login attempt to {url} failed with status: {error.status} {error.reason}")
