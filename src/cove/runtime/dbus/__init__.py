"""The little of D-Bus that talking to systemd takes: values as bytes, and blocking calls with a deadline.

Only loaded where the systemd control group driver was chosen. Start reading at ``connection``.
"""
