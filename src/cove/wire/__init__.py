"""The Engine API's request and response bodies, by group, and what older API versions saw.

Imports ``cove.errors`` only. Start at ``base`` (how fields are named), then ``containers``; ``coding`` reads and writes
JSON; ``streams`` holds what the engine and the server hand each other that is not JSON.
"""
