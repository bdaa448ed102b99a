"""The log drivers that send, in the process that a shim forks for one (``sender``): blocking code, and nothing else.

``delivery`` is the process; ``dialing`` makes connections; each driver has a module, which says what may get lost.
Nothing here is imported by the zygote, nor by a shim.
"""
