"""The parts of ``cove build``: its flags, what they make of the request, and what is lent to a build."""
