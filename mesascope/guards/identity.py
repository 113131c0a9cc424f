"""Identifies the code and data of a subject or family, so that no other subject or family reuses its saved trials."""

import collections
import contextlib
import functools
import hashlib
import inspect
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import jax
import numpy as np

MAX_VALUES = 100_000  # the maximum number of values that are inspected
MAX_PATH_LENGTH = 1000  # the maximum length of a path to a value; longer paths are hashed
PLAIN_TYPES = bool | int | float | complex | str | bytes | None | np.generic | np.dtype | PurePath
LIBRARIES = sys.stdlib_module_names | {  # their functions and classes contain no user code
    *("mesascope", "jax", "jaxlib", "equinox", "numpy", "scipy", "torch", "gymnasium", "stable_baselines3"),
    *("sb3_contrib", "onnxruntime"),
}
LIBRARIES_WITHOUT_WEIGHTS = sys.stdlib_module_names | {"jax", "jaxlib"}  # objects of their classes contain no weights
DATA_MODULES = ("builtins", "collections", "functools", "types", "argparse")  # their objects may contain weights
PACKAGE_FOLDER, STDLIB_FOLDER = Path(__file__).resolve().parents[1], Path(sysconfig.get_path("stdlib")).resolve()

# for each module: its import spec, and the state of its file when the file was first inspected
_FILE_STATES: dict[str, tuple[Any, list[str]]] = {}


def hash_array(array: Any) -> str:
    """Computes the first 16 hexadecimal digits of the SHA-256 hash of an array's shape, type and bytes."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.shape}{array.dtype}".encode() + array.tobytes()).hexdigest()[:16]


def hash_code(value: Any) -> str:
    """Hashes all code, numbers, texts and arrays reachable from a value; the hash is the same in every process."""
    lines = []
    for path, x in list_reachable_parts(value):
        if isinstance(x, types.CodeType):
            x = _describe_code(x)
        lines.append(f"{path}={hash_array(x) if isinstance(x, np.ndarray) else repr(x)}")
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="backslashreplace")).hexdigest()


def list_reachable_parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields every array (as NumPy), plain value and code object reachable from a value, each with its path."""
    queue, visited = [("", value)], {}
    while queue and len(visited) < MAX_VALUES:
        path, x = queue.pop()
        if isinstance(x, PLAIN_TYPES):
            yield path, str(x) if isinstance(x, PurePath) else x
        elif isinstance(x, types.CodeType):
            yield path, x
        elif id(x) not in visited:
            visited[id(x)] = x  # this reference prevents another value from getting the same id
            array = _convert_to_array(x)
            if array is not None and array.dtype != object:
                yield path, array
                continue
            parts = list(_list_parts(x if array is None else array.ravel().tolist(), path))
            queue += [(k if len(k) < MAX_PATH_LENGTH else hash_array(np.array(k)), v) for k, v in reversed(parts)]


def _convert_to_array(value: Any) -> np.ndarray | None:
    """Converts an array of any library to NumPy; None for values that are not arrays."""
    if isinstance(value, type) or not hasattr(value, "__array__"):
        return None
    with contextlib.suppress(Exception):  # a foreign library may raise anything
        kind = str(getattr(value, "dtype", ""))
        value = jax.random.key_data(value) if kind.startswith("key<") else value
        value = value.detach().cpu() if hasattr(value, "detach") else value
        return np.asarray(value.float() if kind == "torch.bfloat16" else value)
    return None


def _list_parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yields the parts of a value, each with its path."""
    prefix, kind = f"{path}." if path else "", type(value)
    fields = getattr(value, "__dict__", {})
    is_library = _get_top_package(kind.__module__) in LIBRARIES
    if isinstance(value, type):
        yield path, value.__qualname__
        for base in value.__mro__:
            if _get_top_package(base.__module__) not in LIBRARIES:
                attributes = {k: v for k, v in vars(base).items() if not k.startswith("__") or callable(v)}
                yield from ((prefix + k, v) for k, v in attributes.items())
    elif _get_top_package(kind.__module__) in LIBRARIES_WITHOUT_WEIGHTS and kind.__module__ not in DATA_MODULES:
        yield path, fields.get("__wrapped__")  # the function inside a compiled one
    elif isinstance(value, Mapping):
        yield from ((f"{path}[{_describe_key(k)}]", v) for k, v in value.items())
    elif isinstance(value, list | tuple | collections.deque):
        yield from ((f"{path}[{i}]", v) for i, v in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"{path}[{i}]", v) for i, v in enumerate(sorted(value, key=_describe_key)))
    elif isinstance(value, functools.partial):
        yield from ((path, value.func), (f"{prefix}args", value.args), (f"{prefix}keywords", value.keywords))
    elif inspect.ismethod(value):
        yield from ((f"{prefix}self", value.__self__), (path, value.__func__))
    elif isinstance(value, staticmethod | classmethod):
        yield path, value.__func__
    elif isinstance(value, property):
        yield from ((path, f) for f in (value.fget, value.fset))
    elif inspect.isfunction(value):
        yield from _list_function_parts(value, path, prefix)
    else:
        yield path, (is_library and getattr(value, "__name__", "")) or kind.__qualname__
    if isinstance(value, type | types.FunctionType | types.MethodType | types.ModuleType):
        return
    if _get_top_package(kind.__module__) not in LIBRARIES_WITHOUT_WEIGHTS or kind.__module__ in DATA_MODULES:
        yield from ((prefix + k, v) for k, v in fields.items())
    if not is_library:
        slots = [k for c in kind.__mro__ for k, v in vars(c).items() if inspect.ismemberdescriptor(v)]
        yield from ((prefix + k, getattr(value, k, None)) for k in slots)
        yield f"{prefix}class", kind


def _list_function_parts(function: Any, path: str, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yields the parts of a function: its code, defaults, closure and the globals that the function uses."""
    code, global_values = function.__code__, function.__globals__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        if cell != types.CellType():
            yield prefix + name, cell.cell_contents
    yield f"{prefix}defaults", function.__defaults__
    yield f"{prefix}keywords", function.__kwdefaults__
    yield from ((f"{prefix}{k}", v) for k, v in function.__dict__.items())
    if _get_top_package(global_values.get("__name__", "")) in LIBRARIES:
        yield path, function.__qualname__
        return
    yield f"{prefix}code", code
    names = dict.fromkeys(_list_code_names(code))
    for name in names:
        if name in global_values:
            yield prefix + name, global_values[name]
            module = global_values[name]
            if isinstance(module, types.ModuleType) and _get_top_package(module.__name__) not in LIBRARIES:
                yield from ((f"{prefix}{name}.{k}", vars(module)[k]) for k in names if k in vars(module))


def _list_code_names(code: types.CodeType) -> Iterator[str]:
    """Yields the names in a code object and in the code nested in this object."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _list_code_names(constant)


def _describe_code(x: Any) -> str:
    """Describes code, or a constant in code, without memory addresses and independently of the hash seed."""
    if isinstance(x, types.CodeType):
        return repr((x.co_code.hex(), x.co_names, [_describe_code(c) for c in x.co_consts]))
    if isinstance(x, tuple | frozenset):
        parts = [_describe_code(c) for c in x]
        return repr(parts if isinstance(x, tuple) else sorted(parts))
    return repr(x)


def _describe_key(key: Any) -> str:
    text = repr(key)
    return type(key).__qualname__ if " at 0x" in text else text


def _get_top_package(module: Any) -> str:
    return str(module).partition(".")[0]


def list_loaded_modules() -> dict[str, list[str]]:
    """Maps the name of every loaded user module and installed package to its file's path and state.

    The state of a user's file is its hash; that of an installed package's file is its size and its time of
    modification. It is recorded at the first call after the module was loaded, because the file may later differ from
    the loaded code.
    """
    result = {}
    for name, module in list(sys.modules.items()):
        file, spec = (getattr(module, "__dict__", {}).get(k) for k in ("__file__", "__spec__"))
        if not isinstance(file, str):
            continue
        if name not in _FILE_STATES or _FILE_STATES[name][0] is not spec:  # a reloaded module has another spec
            _FILE_STATES[name] = spec, _read_state(name, Path(file))
        if state := _FILE_STATES[name][1]:
            result[name] = state
    return result


def _read_state(name: str, path: Path) -> list[str]:
    """Reads a file's path and hash, or path, size and time; [] for modules of Python or mesascope, and for submodules.

    The hash is for a user's own file; the size and time are for a file of an installed package.
    """
    path = next(p for p in (path, *path.parents) if p.exists()).resolve()  # a module may be inside a .zip
    if PACKAGE_FOLDER in path.parents or (STDLIB_FOLDER in path.parents and not _is_installed(path)):
        return []
    if not _is_installed(path):
        return [str(path), hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()]
    parent_file = "." in name and getattr(sys.modules.get(_get_top_package(name)), "__file__", None)
    return [] if parent_file else [str(path), f"{path.stat().st_size} {path.stat().st_mtime_ns}"]


def _is_installed(path: Path) -> bool:
    return bool({"site-packages", "dist-packages"} & set(path.parts))


def are_modules_unchanged(states: Mapping[str, list[str]]) -> bool:
    """Checks whether all modules have these states; if a module is not loaded, the state of its file is compared."""
    current = list_loaded_modules() if states else {}
    return all((current.get(k) or _read_state(k, Path(state[0]))) == state for k, state in states.items())
