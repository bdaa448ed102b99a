"""The Open Container Initiative's types: image, runtime and (later) distribution.

Imports only ``cove.errors``. ``runtime`` holds plain TypedDicts, because the zygote imports it and must
stay free of third-party code; ``image`` holds msgspec structs, for validation at C speed.
"""
