"""Sockets by the standard library's C code, without ``enum`` and ``selectors``, which its Python part imports."""

from cove.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import *  # noqa: F403
else:
    import _socket
    import os
    from _socket import *  # noqa: F403

    class socket(_socket.socket):
        """A socket that closes itself after a block."""

        __slots__ = ("__weakref__",)

        def __enter__(self):
            return self

        def __exit__(self, *_raised):
            self.close()

        def accept(self):
            descriptor, address = self._accept()
            return socket(self.family, self.type, self.proto, fileno=descriptor), address

        def dup(self):
            return socket(self.family, self.type, self.proto, fileno=_socket.dup(self.fileno()))

        def set_inheritable(self, inheritable):
            os.set_inheritable(self.fileno(), inheritable)

    def socketpair(family=_socket.AF_UNIX, kind=_socket.SOCK_STREAM, protocol=0):
        """Two sockets that are connected to each other."""
        return tuple(
            socket(family, kind, protocol, fileno=end.detach()) for end in _socket.socketpair(family, kind, protocol)
        )
