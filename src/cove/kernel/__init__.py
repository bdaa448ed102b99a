"""Every system call, ioctl and file of /proc and /sys that Cove uses, one module per concern.

Imports a short list of the standard library and nothing else. ctypes lives here and nowhere else. Every wrapper
checks its result and raises OSError with the call and the path in it.
"""
