"""Reads pickles as data, without importing or calling anything that they name.

A class or function that a pickle names becomes an empty class with that name. A call of it becomes an instance that
only stores the arguments. This module then rebuilds NumPy arrays and dtypes from their bytes.
"""

import io
import math
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.guards import limits

LARGEST = 64 << 20  # the maximum bytes of a pickle
KINDS = "fiub"  # kinds of dtypes that contain plain numbers


class Inert:
    """Stands for a class or function that a pickle names; `origin` is its (module, name)."""

    origin: tuple[str, str] = ("", "")

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Makes an instance that stores its arguments."""
        instance = object.__new__(cls)
        instance.args, instance.state, instance.items = args, None, []
        return instance

    args: tuple[Any, ...]
    state: Any
    items: list[Any]

    def __init__(self, *args: Any, **keywords: Any):
        pass

    def __call__(self, *args: Any, **keywords: Any) -> "Inert":
        """Returns another Inert, which stands for the result of a call."""
        return Inert(*args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        """Stores an element."""
        self.items.append(value)

    def extend(self, values: Any) -> None:
        """Stores elements."""
        self.items.extend(values)

    add = append


class _Reader(pickle._Unpickler):  # type: ignore[name-defined]  # pyright: ignore[reportAttributeAccessIssue]
    """Python's own unpickler, whose memo grows with the data and not with a number that the file declares."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    append: Any
    read: Any

    def find_class(self, module: str, name: str) -> type[Inert]:
        return type("Named", (Inert,), {"origin": (str(module), str(name))})

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to an object outside the file")

    def load_bytearray8(self) -> None:
        """Reads only the bytes that exist; the standard method would allocate as many as the file declares."""
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))


_Reader.dispatch[pickle.BYTEARRAY8[0]] = _Reader.load_bytearray8


def _guard_keys(name: str, keys: Callable[[list[Any]], list[Any]]) -> None:
    """Makes the reader refuse nested tuples as keys, because hashing them could take exponential time."""
    standard_load = _Reader.dispatch[getattr(pickle, name)[0]]

    def load(reader: Any) -> None:
        for key in keys(reader.stack):
            if isinstance(key, tuple | frozenset) and any(isinstance(x, tuple | frozenset) for x in key):
                raise pickle.UnpicklingError("one of its dictionary keys is nested")
        standard_load(reader)

    _Reader.dispatch[getattr(pickle, name)[0]] = load


_guard_keys("SETITEM", lambda stack: stack[-2:-1])
for _name in ("SETITEMS", "DICT"):
    _guard_keys(_name, lambda stack: stack[::2])
for _name in ("ADDITEMS", "FROZENSET"):
    _guard_keys(_name, lambda stack: stack)


def describe_value(value: Any) -> list[Any]:
    """The values directly inside a value that this module has read."""
    if isinstance(value, Inert):
        items = [x for pair in value.items for x in (pair if type(pair) is tuple else [pair])]
        return [*value.args, value.state, *items]
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else []


class Stored(Inert):
    """Stands for numbers stored outside a pickle of tensors; `args` describes them."""


class _Tensors(_Reader):
    def persistent_load(self, pid: Any) -> Any:
        return Stored(*pid) if isinstance(pid, tuple) else super().persistent_load(pid)


def read_tensors(data: bytes, skip: int = 0) -> Any:
    """The content of a pickle that may refer to numbers outside it; in the file, it follows `skip` other pickles.

    Raises:
        ValueError: it is broken, larger than LARGEST, nested too deeply, or expands to too many values.
    """
    return _load(data, _Tensors, skip)


def read(data: bytes, label: str) -> Any:
    """The content of a pickle, with Inert for everything that is not plain Python data.

    Raises:
        MesascopeError: it is broken, larger than LARGEST, nested too deeply, or expands to too many values.
    """
    try:
        return _load(data, _Reader)
    except ValueError as error:
        raise MesascopeError(f"{label} is not a valid pickle: {error}.", "Copy or save the file again.") from None


def _load(data: bytes, kind: Any, skip: int = 0) -> Any:
    if len(data) > LARGEST:
        raise ValueError(f"it has {len(data):,} bytes")
    file, found = io.BytesIO(data), None
    try:
        for _ in range(skip + 1):
            found = kind(file).load()
    except Exception as error:  # a reader may raise anything on a broken file
        raise ValueError(f"{type(error).__name__}: {str(error)[:200]}") from None
    limits.check_nesting(found, describe_value)
    return found


def find_reference(value: Any) -> tuple[str, str] | None:
    """The (module, name) of the class or function to which a value refers; None for other values."""
    return value.origin if isinstance(value, type) and issubclass(value, Inert) else None


def to_array(value: Any) -> Any:
    """Rebuilds a NumPy array, scalar or dtype from its inert form; returns plain numbers, texts and tuples as they are.

    Raises:
        ValueError: the value is none of these, or its bytes do not fill its shape.
    """
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, tuple | list):
        return tuple(to_array(x) for x in value[:64])
    if (origin := find_reference(value)) and origin[0] == "numpy":
        return _parse_dtype(origin[1])
    if not isinstance(value, Inert) or value.origin[0].partition(".")[0] != "numpy":
        raise ValueError("it does not consist of numbers")
    name = value.origin[1]
    if name == "dtype":
        return _parse_dtype(value.args[0])
    if name == "scalar":
        kind, data = value.args
        return _fill_array(data, (), to_array(kind), False)[()]
    if name == "_frombuffer":
        data, kind, shape, order = value.args
        return _fill_array(data, to_array(shape), to_array(kind), order == "F")
    if name == "_reconstruct" and isinstance(value.state, tuple):
        _, shape, kind, fortran, data = value.state
        return _fill_array(data, to_array(shape), to_array(kind), bool(fortran))
    raise ValueError(f"it contains numpy.{name}")


def _parse_dtype(text: Any) -> np.dtype:
    dtype = np.dtype(str(text).removesuffix("_") if str(text) != "bool_" else "bool")
    if dtype.kind not in KINDS:
        raise ValueError(f"it contains numbers of type {dtype}")
    return dtype


def _fill_array(data: Any, shape: tuple[int, ...], kind: np.dtype, fortran: bool) -> np.ndarray:
    if isinstance(data, str):  # protocol 2 and older
        data = data.encode("latin1")
    elif isinstance(data, Inert) and data.origin[1] == "encode":
        data = str(data.args[0]).encode("latin1")
    elif isinstance(data, Inert) and data.origin[1] == "bytes" and not data.args:
        data = b""
    if not isinstance(data, bytes | bytearray):
        raise ValueError("its bytes are missing")
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError("its bytes do not fill its shape")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C").copy()
