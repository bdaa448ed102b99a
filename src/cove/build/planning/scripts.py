"""What a RUN with here-documents executes. Pure."""

from dataclasses import replace

from cove.build.planning.configuring import command_line
from cove.dockerfile import instructions as types
from cove.dockerfile.heredocs import heredoc_in
from cove.oci.image import Config

PIPES = "/dev/pipes"


def script(run: types.Run) -> tuple[tuple[tuple[str, bytes], ...], tuple[str, ...]]:
    """Files to be given to a RUN, by path, and its words: a here-document alone is the script itself."""
    if not run.heredocs:
        return (), run.words
    first = run.heredocs[0]
    if heredoc_in(run.words[0]) is not None:
        if first.content.startswith("#!"):
            path = f"{PIPES}/{first.name}"
            return ((path, first.chomped.encode()),), (path,)
        return (), (first.chomped,)
    return (), ("\n".join([run.words[0], *(f"{heredoc.content}{heredoc.name}" for heredoc in run.heredocs)]),)


def shown(run: types.Run, config: Config) -> list[str]:
    """The words as the history has them: with the shell, and with what here-documents say."""
    return command_line(replace(run, words=script(run)[1]), config)
