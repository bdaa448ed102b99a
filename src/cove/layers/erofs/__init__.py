"""Layers as images of the kernel's EROFS: an index of what is in a tar, written beside it."""
