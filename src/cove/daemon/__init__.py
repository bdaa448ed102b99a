"""The composition root: configuration, wiring, signals and systemd notification.

Imports everything but ``cli`` and ``compose``. Start reading at ``main``, then ``application``, which builds every
service in order.
"""
