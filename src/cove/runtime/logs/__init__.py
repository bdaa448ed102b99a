"""What a container writes, on its way to where it is kept: the shim's side of every log driver.

``lines`` cuts output into whole lines; ``jsonfile`` and ``blocks`` are the two formats on disk; ``rotation`` appends to
the files and rotates them, ``compression`` shrinks the old ones; ``container_log`` puts these together. What sends to
other machines is in ``remote``, is run in a process of its own (``sender``), and is imported only there.
"""
