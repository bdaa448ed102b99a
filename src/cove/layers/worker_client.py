"""coved's end of the unpacking worker."""


class Worker:
    """A warm interpreter that forks a child per job; started at the first one, ended after a minute without any."""

    def __init__(self, idle_seconds: float = 60.0) -> None: ...

    async def close(self) -> None:
        """End the worker and every job that is under way."""
