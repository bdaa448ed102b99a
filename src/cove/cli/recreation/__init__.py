"""From an inspected container back to what makes it again: a command line, or a compose file.

``settings`` reads an inspection against its image's defaults, a Setting for each thing that is not a default;
``command`` and ``compose`` write them.
"""
