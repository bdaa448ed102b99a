"""The lean part of the standard library against the whole one."""

import ctypes
import errno
import json
import os
import pickle
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove import lean
from cove.lean import ctypes as lean_ctypes
from cove.lean import json as lean_json
from cove.lean import socket as lean_socket

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class Lean(lean.NamedTuple):
    """Both have a docstring."""

    name: str
    number: int = 7
    rest: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return f"{self.name}{self.number}"


class Whole(typing.NamedTuple):
    name: str
    number: int = 7
    rest: tuple[str, ...] = ()


def test_a_named_tuple_is_one() -> None:
    for values, named in ((("a",), {}), (("a", 1), {"rest": ("x",)}), ((), {"name": "b", "rest": ()})):
        assert tuple(Lean(*values, **named)) == tuple(Whole(*values, **named))  # type: ignore[arg-type]
    made = Lean("a", 1)
    assert (made.name, made.number, made.rest, made.shown) == ("a", 1, (), "a1")
    assert made._replace(number=2) == ("a", 2, ())
    assert made._asdict() == {"name": "a", "number": 1, "rest": ()}
    assert repr(made) == "Lean(name='a', number=1, rest=())"
    assert Lean._fields == Whole._fields
    match made:
        case Lean(name, number):
            assert (name, number) == ("a", 1)
    assert pickle.loads(pickle.dumps(made)) == made
    assert {*dir(Whole), "shown"} - {"_make", "__orig_bases__"} <= set(dir(Lean))


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a", 1, (), 3), {}), (("a",), {"x": 1}), (("a",), {"name": 1})]
)
def test_a_named_tuple_refuses_what_it_has_no_field_for(values: tuple[object, ...], named: dict[str, object]) -> None:
    for kind in (Lean, Whole):
        with pytest.raises(TypeError):
            kind(*values, **named)  # type: ignore[arg-type]


@given(VALUES)
def test_json_is_written_and_read_as_the_standard_library_does(value: object) -> None:
    text = json.dumps(value)
    assert lean_json.dumps(value) == text
    assert lean_json.loads(text) == lean_json.loads(text.encode()) == lean_json.loads(f" {text}\n") == value
    assert lean_json.sorted_dumps(value) == json.dumps(value, sort_keys=True)
    assert lean_json.encoder(",", ":")(value) == json.dumps(value, separators=(",", ":"))


@given(st.text() | st.binary())
def test_what_is_not_json_is_refused_in_the_same_words(text: str | bytes) -> None:
    outcomes = []
    for loads in (json.loads, lean_json.loads):
        try:
            outcomes.append(repr(loads(text)))
        except ValueError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_what_is_not_json_is_refused_where_nothing_else_has_imported_json() -> None:
    source = Path(lean.__file__).parents[2]
    script = f"import sys; sys.path.insert(0, {str(source)!r})\nfrom cove.lean import json\njson.loads('{{')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    assert done.stderr.rstrip().splitlines()[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


def test_values_that_json_has_not_are_refused() -> None:
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        lean_json.dumps([object()])


def test_sockets_close_themselves_and_take_connections(tmp_path: Path) -> None:
    with lean_socket.socket(lean_socket.AF_UNIX, lean_socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with lean_socket.socket(lean_socket.AF_UNIX, lean_socket.SOCK_STREAM) as caller:
            caller.connect(str(tmp_path / "socket"))
            accepted, _address = listener.accept()
            with accepted, accepted.dup() as other:
                other.send(b"x")
                assert caller.recv(9) == b"x"
                assert not os.get_inheritable(other.fileno())
        assert caller.fileno() == -1
    ours, theirs = lean_socket.socketpair(lean_socket.AF_UNIX, lean_socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(b"y")
        assert theirs.recv(9) == b"y"


def test_errors_are_suppressed_or_not() -> None:
    with lean.suppress(OSError):
        raise FileNotFoundError
    with pytest.raises(ValueError), lean.suppress(OSError):
        raise ValueError
    ended = []

    @lean.contextmanager
    def context(value: int) -> lean.Iterator[int]:
        try:
            yield value
        finally:
            ended.append(value)

    with context(3) as given_value:
        assert given_value == 3
    with pytest.raises(KeyError), context(4):
        raise KeyError
    assert ended == [3, 4]


def test_a_call_of_the_runtime_imports_little() -> None:
    """Each module of these costs more than most of what a call does."""
    source = Path(lean.__file__).parents[2]
    modules = "creating, foreground, ending, filters, executing, listing"
    script = f"import sys; sys.path.insert(0, {str(source)!r})\nfrom cove.runtime.command import main, {modules}"
    script += "\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert not found & {
        "typing",
        "enum",
        "re",
        "json",
        "collections",
        "functools",
        "contextlib",
        "socket",
        "shutil",
        "ctypes",
    }


def test_foreign_functions_are_called_as_the_whole_of_ctypes_calls_them(tmp_path: Path) -> None:
    told = []
    for module in (ctypes, lean_ctypes):
        library = module.CDLL(None, use_errno=True)
        library.strnlen.argtypes, library.strnlen.restype = [module.c_char_p, module.c_size_t], module.c_size_t
        buffer = module.create_string_buffer(b"a\0b", 8)
        library.getcwd.argtypes, library.getcwd.restype = [module.c_void_p, module.c_ulong], module.c_void_p
        place = module.create_string_buffer(4096)
        library.getcwd(place, len(place))
        failed = library["access"](str(tmp_path / "none").encode(), module.c_int(0))
        numbers = (module.c_uint * 3)(1, 2, 3)
        told.append(
            [
                library.strnlen(b"four", 9),
                (buffer.raw, buffer.value, len(buffer)),
                place.value,
                (failed, module.get_errno()),
                list(numbers),
                module.addressof(numbers) != 0,
                module.create_string_buffer(b"xy").raw,
                module.c_long(-1).value,
            ]
        )
    assert told[0] == told[1]
    assert told[0][3] == (-1, errno.ENOENT)
