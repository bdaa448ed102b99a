"""The engine: containers, execs, images and networks as services that know nothing of HTTP.

Imports floors 0 to 3, and of the runtime only its messages and how to launch its zygote. Start reading at
``containers.containers`` (what the API asks for), then ``lifecycle`` (how a container starts and ends) and ``bundle``.
"""
