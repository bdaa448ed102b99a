"""The firewall: libnftables, which takes the language of nft(8) or its JSON, one atomic transaction per call."""

import ctypes
import errno
import json

_OUTPUT_JSON = 1 << 4
_OUTPUT_NUMERIC_ALL = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10)
_OUTPUT_HANDLE = 1 << 3
_LIBRARY = "libnftables.so.1"


class Nftables:
    """A connection to the firewall of the network namespace that its thread is in. Not for use by two threads at once.

    Raises OSError (ENOENT) from the constructor when the library is not installed.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._context: int | None = self._library.nft_ctx_new(0)
        if not self._context:
            raise OSError(errno.ENOMEM, "nft_ctx_new: no context")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> str:
        """Run commands (nft's language, or a JSON text) as one transaction; returns what they print.

        Raises OSError with nft's own message when they are refused; then nothing has changed.
        """
        language = _OUTPUT_JSON if commands.lstrip().startswith("{") else 0  # the flag also chooses the parser
        return self._run(commands, _OUTPUT_NUMERIC_ALL | language)

    def run_json(self, commands: str) -> dict[str, object]:
        """As ``run``, with the output as JSON, handles included: ``{"nftables": [...]}``; nothing printed is {}."""
        output = self._run(commands, _OUTPUT_NUMERIC_ALL | _OUTPUT_JSON | _OUTPUT_HANDLE)
        answer: dict[str, object] = json.loads(output) if output.strip() else {}
        return answer

    def rule_text(self, chain: str, handle: int) -> str:
        """A rule in nft's language. ``chain``: family, table and name; "" when there is no such rule any more."""
        listed = self._run(f"list chain {chain}", _OUTPUT_HANDLE)
        ending = f" # handle {handle}"
        return next((line.strip().removesuffix(ending) for line in listed.splitlines() if line.endswith(ending)), "")

    def _run(self, commands: str, output_flags: int) -> str:
        if self._context is None:
            raise OSError(errno.EBADF, "nft: the context is closed")
        self._library.nft_ctx_output_set_flags(self._context, output_flags)
        failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        message: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise OSError(_error_number(message), f"nft: {message.decode(errors='replace').strip()}")
        return output.decode(errors="replace")

    def close(self) -> None:
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def __enter__(self) -> "Nftables":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


_MESSAGES = {
    b"No such file or directory": errno.ENOENT,
    b"File exists": errno.EEXIST,
    b"Operation not permitted": errno.EPERM,
    b"Device or resource busy": errno.EBUSY,
    b"Operation not supported": errno.EOPNOTSUPP,
}


def _error_number(message: bytes) -> int:
    """libnftables gives text only; callers tell a missing object from a taken name by the kernel's words in it."""
    return next((number for words, number in _MESSAGES.items() if words in message), errno.EINVAL)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise OSError(errno.ENOENT, f"cannot load {_LIBRARY}: {error}", _LIBRARY) from error
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_free.restype = None
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library
