"""Containers on their networks: where they are, what they are called there, and what they may reach."""
