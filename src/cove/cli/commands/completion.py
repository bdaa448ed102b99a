"""``cove completion``"""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

SHELLS = ("bash", "fish", "zsh")


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    import importlib

    shell = arguments[0]
    if shell not in SHELLS:
        raise Failure(
            f"cove: unknown command: cove completion {shell}\n\nRun 'cove completion --help' for more information"
        )
    script = importlib.import_module(f"cove.cli.completions.{shell}").script()
    session.stdout.write(script)
    return 0


COMMAND = Command(
    _run,
    "SHELL",
    exactly(1),
    long=(
        "Generate the autocompletion script for the specified shell: bash, fish or zsh.\n\n"
        "For the current session:\n\n"
        "\tsource <(cove completion bash)\n\n"
        "For every new session:\n\n"
        "\tcove completion bash > /etc/bash_completion.d/cove\n"
        '\tcove completion zsh > "${fpath[1]}/_cove"\n'
        "\tcove completion fish > ~/.config/fish/completions/cove.fish"
    ),
)
