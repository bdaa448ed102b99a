"""A file of layers, for whoever wants to know what is in an image."""

from contextlib import closing

from cove.layers.builds.trees import open_layers, resolve
from cove.layers.worker.build_jobs import ReadFile, ReadFileDone


def read_file(job: ReadFile) -> ReadFileDone:
    """Links are followed inside the layers. Raises OSError, InvalidArgument for links that lead in circles."""
    with closing(open_layers(job.lower)) as tree:
        parts, found = resolve(tree, job.path.encode().split(b"/"))
        if found is None or not found.is_file:
            return ReadFileDone(b"")
        content = bytearray()
        for piece in tree.data(tuple(parts)):
            content += piece
            if len(content) > job.limit:
                break
        return ReadFileDone(bytes(content[: job.limit]))
