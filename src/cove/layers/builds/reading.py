"""A file of layers or of a context, for whoever wants to know what is in it."""

from contextlib import closing

from cove.layers.builds.context import open_place
from cove.layers.builds.trees import resolve
from cove.layers.worker.build_jobs import ReadFile, ReadFileDone


def read_file(job: ReadFile) -> ReadFileDone:
    """Links are followed inside the tree. Raises OSError, InvalidArgument for links that lead in circles."""
    with closing(open_place(job.place)) as tree:
        parts, found = resolve(tree, job.path.split(b"/"))
        if found is None or not found.is_file:
            return ReadFileDone(None)
        content = bytearray()
        for piece in tree.data(tuple(parts)):
            content += piece
            if len(content) > job.limit:
                break
        return ReadFileDone(bytes(content[: job.limit]))
