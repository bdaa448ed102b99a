"""How many arguments a command takes, and what it says of others."""

import pytest

from cove.cli.command import Arguments


@pytest.mark.parametrize(
    "arguments,count,words",
    [
        (Arguments(0, 0), 0, None),
        (Arguments(0, 0), 1, ("accepts no arguments", "Run")),
        (Arguments(1, None), 0, ("requires at least 1 argument", "See")),
        (Arguments(2, None), 1, ("requires at least 2 arguments", "See")),
        (Arguments(2, 2), 1, ("requires 2 arguments", "Run")),
        (Arguments(1, 1), 0, ("requires 1 argument", "Run")),
        (Arguments(0, 1), 2, ("requires at most 1 argument", "Run")),
        (Arguments(1, 2), 3, ("requires at least 1 and at most 2 arguments", "Run")),
        (Arguments(1, 2), 2, None),
    ],
)
def test_counts_of_arguments(arguments: Arguments, count: int, words: tuple[str, str] | None) -> None:
    assert arguments.complaint(count) == words
