"""The API's requests about images and registries, and images that programs make: bootstraps and slimming.

Start reading at ``images``.
"""
