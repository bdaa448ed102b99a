"""What a call of the runtime needs of the standard library, without what else importing that brings.

``cove-oci`` is a new process for each call. ``typing`` with its named tuples, ``enum`` below ``signal`` and ``socket``,
``re`` below ``json``: together they took a third of a call. Here are their names, for the type checker the real ones.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import contextmanager, suppress
    from typing import Any, Literal, NamedTuple, NoReturn, NotRequired, Protocol, TypedDict
else:
    import _signal as signal
    from _collections_abc import Callable, Iterable, Iterator, Sequence
    from _operator import itemgetter

    class _Form:
        """Something that only annotations name."""

        def __getitem__(self, _parameters):
            return self

        def __or__(self, _other):
            return self

        __ror__ = __or__

    Any = Literal = NoReturn = NotRequired = _Form()

    class Protocol:
        """A protocol: never checked while running."""

    class TypedDict(dict):
        """A dictionary; its keys are for the type checker."""

        def __init_subclass__(cls, total=True):
            pass

    class NamedTuple(tuple):
        """A tuple whose fields are the annotations of the class, in their order, with the defaults given there."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}  # noqa: RUF012

        def __init_subclass__(cls):
            if cls._fields:
                return
            cls._fields = cls.__match_args__ = tuple(cls.__annotations__)
            cls._field_defaults = {name: cls.__dict__[name] for name in cls._fields if name in cls.__dict__}
            for number, name in enumerate(cls._fields):
                setattr(cls, name, property(itemgetter(number)))

        def __new__(cls, *values, **named):
            fields = cls._fields
            if named or len(values) != len(fields):
                values += tuple(cls._value(name, named) for name in fields[len(values) :])
                if named or len(values) != len(fields):
                    raise TypeError(f"{cls.__name__}: too many values, or unknown ones: {', '.join(named)}")
            return tuple.__new__(cls, values)

        @classmethod
        def _value(cls, name, named):
            if name in named:
                return named.pop(name)
            if name in cls._field_defaults:
                return cls._field_defaults[name]
            raise TypeError(f"{cls.__name__}: {name} is missing")

        def _replace(self, **named):
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    class suppress:
        """Go on after the block when one of these errors ends it."""

        __slots__ = ("_kinds",)

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, _error, _trace):
            return kind is not None and issubclass(kind, self._kinds)

    class _Context:
        __slots__ = ("_steps",)

        def __init__(self, steps):
            self._steps = steps

        def __enter__(self):
            return next(self._steps)

        def __exit__(self, _kind, error, _trace):
            if error is None:
                next(self._steps, None)
                return False
            try:
                self._steps.throw(error)
            except StopIteration:
                return True
            except BaseException as raised:
                if raised is not error:
                    raise
            return False

    def contextmanager(steps):
        """A function of one ``yield`` as a context."""
        return lambda *values, **named: _Context(steps(*values, **named))


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "Callable",
    "Iterable",
    "Iterator",
    "Literal",
    "NamedTuple",
    "NoReturn",
    "NotRequired",
    "Protocol",
    "Sequence",
    "TypedDict",
    "contextmanager",
    "signal",
    "suppress",
]
