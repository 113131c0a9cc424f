"""Reads pickles as data, without importing or calling anything that they name.

Each class or function that a pickle names becomes an empty class with the same name. A call in the pickle becomes an
instance that only stores the call's arguments. NumPy arrays and dtypes are rebuilt from their bytes.
"""

import io
import math
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.guards import limits

MAX_BYTES = 64 << 20  # the maximum number of bytes in a pickle
DTYPE_KINDS = "fiub"  # kinds of dtypes that contain plain numbers


class InertObject:
    """Stands for an object of a class that a pickle names, or for the result of a function that it names.

    Attributes:
        origin: the module and the name of the class or function.
        args: the arguments of the call that would make the object.
        state: the state that the pickle would give to the object, or None.
        items: the elements that the pickle would add to the object; for a mapping, pairs of key and value.
    """

    origin: tuple[str, str] = ("", "")

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Makes an instance that stores the arguments."""
        instance = object.__new__(cls)
        instance.args, instance.state, instance.items = args, None, []
        return instance

    args: tuple[Any, ...]
    state: Any
    items: list[Any]

    def __init__(self, *args: Any, **keywords: Any):
        pass

    def __call__(self, *args: Any, **keywords: Any) -> "InertObject":
        """Returns another inert object, which stands for the result of the call."""
        return InertObject(*args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        """Stores an element."""
        self.items.append(value)

    add = append


class _InertUnpickler(pickle._Unpickler):  # type: ignore[name-defined]  # pyright: ignore[reportAttributeAccessIssue]
    """Python's own unpickler, in which classes are inert; its memory depends on the data, not on declared sizes."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    append: Any
    read: Any

    def find_class(self, module: str, name: str) -> type[InertObject]:
        return type("Named", (InertObject,), {"origin": (str(module), str(name))})

    def persistent_load(self, reference: Any) -> Any:
        raise pickle.UnpicklingError("it refers to an object outside the file")

    def load_bytearray8(self) -> None:
        """Reads only bytes that exist, whereas the standard method allocates as many bytes as the file declares."""
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))


_InertUnpickler.dispatch[pickle.BYTEARRAY8[0]] = _InertUnpickler.load_bytearray8


def _refuse_nested_keys(opcode: str, find_keys: Callable[[list[Any]], list[Any]]) -> None:
    """Makes the unpickler refuse nested tuples as keys, because computing their hashes could take exponential time."""
    code = getattr(pickle, opcode)[0]
    standard_load = _InertUnpickler.dispatch[code]

    def load(reader: Any) -> None:
        for key in find_keys(reader.stack):
            if isinstance(key, tuple | frozenset) and any(isinstance(x, tuple | frozenset) for x in key):
                raise pickle.UnpicklingError("one of its dictionary keys is nested")
        standard_load(reader)

    _InertUnpickler.dispatch[code] = load


_refuse_nested_keys("SETITEM", lambda stack: stack[-2:-1])
for _opcode in ("SETITEMS", "DICT"):
    _refuse_nested_keys(_opcode, lambda stack: stack[::2])
for _opcode in ("ADDITEMS", "FROZENSET"):
    _refuse_nested_keys(_opcode, lambda stack: stack)


def list_parts(value: Any) -> list[Any]:
    """Lists the values directly inside a value that this module has read."""
    if isinstance(value, InertObject):
        items = [x for pair in value.items for x in (pair if type(pair) is tuple else [pair])]
        return [*value.args, value.state, *items]
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else []


class StorageReference(InertObject):
    """Stands for numbers that are stored outside the pickle; `args` describes them."""


class _TensorUnpickler(_InertUnpickler):
    def persistent_load(self, reference: Any) -> Any:
        is_storage = isinstance(reference, tuple)
        return StorageReference(*reference) if is_storage else super().persistent_load(reference)


def read_tensors(data: bytes, n_skipped: int = 0) -> Any:
    """Reads a pickle that may refer to numbers outside the pickle.

    Args:
        data: the bytes of a file.
        n_skipped: the number of other pickles in the file before this one.

    Raises:
        ValueError: the pickle is broken, larger than MAX_BYTES, nested too deeply, or expands to too many values.
    """
    return _unpickle(data, _TensorUnpickler, n_skipped)


def read_pickle(data: bytes, label: str) -> Any:
    """Reads a pickle; everything that is not plain Python data becomes an `InertObject`.

    Raises:
        MesascopeError: the pickle is broken, larger than MAX_BYTES, nested too deeply, or expands to too many values.
    """
    try:
        return _unpickle(data, _InertUnpickler)
    except ValueError as error:
        raise MesascopeError(f"{label} is not a valid pickle: {error}.", "Copy or save the file again.") from None


def _unpickle(data: bytes, unpickler_class: Any, n_skipped: int = 0) -> Any:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data):,} bytes")
    file, content = io.BytesIO(data), None
    try:
        for _ in range(n_skipped + 1):
            content = unpickler_class(file).load()
    except Exception as error:  # a reader may raise anything on a broken file
        raise ValueError(f"{type(error).__name__}: {str(error)[:200]}") from None
    limits.check_nesting(content, list_parts)
    return content


def find_reference(value: Any) -> tuple[str, str] | None:
    """Returns the (module, name) of the class or function to which a value refers; None for other values."""
    return value.origin if isinstance(value, type) and issubclass(value, InertObject) else None


def rebuild_value(value: Any) -> Any:
    """Rebuilds a NumPy array, scalar or dtype from its inert form; returns plain numbers, texts and tuples as they are.

    Raises:
        ValueError: the value has another type, or the number of its bytes does not agree with its shape.
    """
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, tuple | list):
        return tuple(rebuild_value(x) for x in value[:64])
    if (origin := find_reference(value)) and origin[0] == "numpy":
        return _parse_dtype(origin[1])
    if not isinstance(value, InertObject) or value.origin[0].partition(".")[0] != "numpy":
        raise ValueError("it does not consist of numbers")
    name = value.origin[1]
    if name == "dtype":
        return _parse_dtype(value.args[0])
    if name == "scalar":
        dtype, data = value.args
        return _fill_array(data, (), rebuild_value(dtype), False)[()]
    if name == "_frombuffer":
        data, dtype, shape, order = value.args
        return _fill_array(data, rebuild_value(shape), rebuild_value(dtype), order == "F")
    if name == "_reconstruct" and isinstance(value.state, tuple):
        _, shape, dtype, fortran_order, data = value.state
        return _fill_array(data, rebuild_value(shape), rebuild_value(dtype), bool(fortran_order))
    raise ValueError(f"it contains numpy.{name}")


def _parse_dtype(text: Any) -> np.dtype:
    dtype = np.dtype(str(text).removesuffix("_") if str(text) != "bool_" else "bool")
    if dtype.kind not in DTYPE_KINDS:
        raise ValueError(f"it contains numbers of type {dtype}")
    return dtype


def _fill_array(data: Any, shape: tuple[int, ...], dtype: np.dtype, is_fortran_order: bool) -> np.ndarray:
    if isinstance(data, str):  # protocol 2 and older
        data = data.encode("latin1")
    elif isinstance(data, InertObject) and data.origin[1] == "encode":
        data = str(data.args[0]).encode("latin1")
    elif isinstance(data, InertObject) and data.origin[1] == "bytes" and not data.args:
        data = b""
    if not isinstance(data, bytes | bytearray):
        raise ValueError("its bytes are missing")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError("the number of its bytes does not agree with its shape")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran_order else "C").copy()
