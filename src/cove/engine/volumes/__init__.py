"""The API's requests about volumes, and what containers have of them.

Start reading at ``volumes`` (requests) and ``mounts`` (a start of a container that has some).
"""
