"""Finds a module's weights in a file as training code writes it: nested dicts, prefixes of wrappers, whole modules."""

import hashlib
import inspect
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from mesascope.agents import pickles as _pickles
from mesascope.agents import torch_support as _torch
from mesascope.contracts import import_optional_package
from mesascope.errors import MesascopeError
from mesascope.guards import gate

MAX_DEPTH = 4  # the maximum depth of nested dicts that are searched
MAX_LISTED = 6  # the maximum number of names in a message
WRAPPER_ATTRIBUTES = ("_orig_mod", "module")  # torch.compile and DataParallel keep the module under these names


def unwrap(module: Any) -> Any:
    """Returns the module inside torch.compile, DataParallel or DistributedDataParallel; any other module unchanged."""
    torch = import_optional_package("torch", "torch")
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel, torch._dynamo.OptimizedModule)
    while isinstance(module, wrappers):
        module = next(getattr(module, name) for name in WRAPPER_ATTRIBUTES if hasattr(module, name))
    return module


def is_script(module: Any) -> bool:
    """Whether a module was read from a TorchScript archive; then hooks do not see its submodules."""
    return isinstance(module, import_optional_package("torch", "torch").jit.ScriptModule)


def count_inputs(module: Any) -> int:
    """Counts the inputs of a module's method `forward`, also of a TorchScript module."""
    if is_script(module):
        arguments = module.forward.schema.arguments[1:]
        if len(arguments) > 1 and arguments[1].type.kind() != "OptionalType" and not hasattr(module, "initial_state"):
            problem = f"The second input of the TorchScript module, {arguments[1].name}, cannot be None."
            raise MesascopeError(problem, "Export a method initial_state(n), or let forward take Optional[Tensor].")
        return len(arguments)
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def hash_file(path: str | os.PathLike) -> str:
    """Computes the SHA-256 hash of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_file(path: str, is_trusted: bool) -> Any:
    """Reads the weights and plain data in a file, or the whole module if the file contains one and is trusted.

    Raises:
        MesascopeError: the file is broken, or reading it would run code and the user does not trust the file.
    """
    label, is_archive, class_names = repr(path), *_find_module_code(path)
    if not is_archive and not class_names:
        return _torch.load_torch_file(path, label)
    what = "a TorchScript archive, which contains code" if is_archive else f"a whole module of {class_names[0]}"
    if not is_trusted:
        problem = f"{label} is {what}{'' if is_archive else ', and reading it would run code from the file'}."
        remedy = "If you trust its author, add --trust (trust=True in Python); or save the weights alone: "
        raise MesascopeError(problem, f"{remedy}torch.save(module.state_dict(), path).")
    try:
        module = gate.load_module(path, is_archive, class_names, is_trusted)
    except Exception as error:  # a reader may raise anything, and so may the code in the file
        problem = f"{label} is {what}, but cannot be read: {type(error).__name__}: {str(error).strip()[:300]}."
        raise MesascopeError(problem, "Put the modules that define its classes on PYTHONPATH.") from error
    if not isinstance(module, import_optional_package("torch", "torch").nn.Module):
        raise MesascopeError(f"{label} contains a {type(module).__name__}.", "Save a torch.nn.Module.")
    return module


def _find_module_code(path: str) -> tuple[bool, list[str]]:
    """Finds whether a file is a TorchScript archive, and the classes that a whole module in it names (root first)."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in names):
                return True, []
            member = next((x for x in archive.infolist() if x.filename.endswith("/data.pkl")), None)
            if member is None or member.file_size > _pickles.MAX_BYTES or member.compress_type != zipfile.ZIP_STORED:
                return False, []
            root = _pickles.read_tensors(archive.read(member))
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False, []  # the reader of weights gives the reason
    if not isinstance(root, _pickles.InertObject) or root.state is None:
        return False, []
    if root.origin[0].partition(".")[0] in ("collections", "builtins", "torch._utils", "argparse"):
        return False, []
    origins, queue, visited = {}, [root], set()
    while queue:
        value = queue.pop()
        if id(value) not in visited:
            visited.add(id(value))
            queue += _pickles.list_parts(value)
            if isinstance(value, _pickles.InertObject) and value.origin[0]:
                origins[".".join(value.origin)] = True
    return False, list(dict.fromkeys([".".join(root.origin), *origins]))


def find_weights(content: Any, module: Any, key: str, label: str) -> dict[str, Any]:
    """Finds the state dict that fits a module, without the prefix that a wrapper puts before its names.

    Args:
        content: the content of a file: a state dict, or dicts that contain state dicts.
        module: the module.
        key: the path of a state dict in the content, such as 'agent' or 'agent.policy', or the first part of the names
            of its weights; '' to search for the only one that fits.
        label: the file, for messages.

    Returns:
        The weights by their names in the module.

    Raises:
        MesascopeError: no state dict fits, or several fit.
    """
    expected = module.state_dict()
    state_dicts = dict(_list_state_dicts(content))
    if not state_dicts:
        found = ", ".join(map(str, list(content)[:MAX_LISTED])) if isinstance(content, Mapping) else type(content)
        raise MesascopeError(
            f"{label} contains no state dict, but {found}.", "Save torch.save(module.state_dict(), path)."
        )
    if key:
        inside = {k: v for k, v in state_dicts.items() if k == key or k.startswith(f"{key}.")}
        by_prefix = {
            k: {n.removeprefix(f"{key}."): w for n, w in v.items() if n.startswith(f"{key}.")}
            for k, v in state_dicts.items()
        }
        state_dicts = inside or {f"{k}.{key}" if k else key: v for k, v in by_prefix.items() if v}
        if not state_dicts:
            raise MesascopeError(f"{label} has no state dict under key={key}.", f"It contains {_describe(content)}.")
    fits = {(k, p): w for k, weights in state_dicts.items() for p, w in _list_fits(weights, expected)}
    if len(fits) > 1 and ("", "") in fits:
        return fits["", ""]
    if len(fits) > 1:
        keys = sorted({".".join(filter(None, (k, p.rstrip(".")))) for k, p in fits})
        raise MesascopeError(
            f"{label} contains weights for the module under {' and '.join(keys)}.", f"Add key={keys[0]}."
        )
    if fits:
        return next(iter(fits.values()))
    if set(state_dicts) == {""}:
        return state_dicts[""]  # the reader of weights says what is missing
    problem = (
        f"{label} does not fit the network, which needs {_list_names(expected)}; it contains {_describe(content)}."
    )
    raise MesascopeError(problem, "Name the module that it was saved from, or add key= with one of these names.")


def _list_state_dicts(content: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every dict that contains tensors, by its path, with its tensors."""
    if not isinstance(content, Mapping) or depth > MAX_DEPTH:
        return
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and hasattr(v, "numel")}
    if tensors:
        yield path, tensors
    for k, v in content.items():
        yield from _list_state_dicts(v, f"{path}.{k}" if path else str(k), depth + 1)


def _list_fits(weights: dict[str, Any], expected: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each prefix with which a state dict contains all weights of a module, and the weights without it.

    A state dict with the exact names fits without a prefix, even if another part of it fits too.
    """
    first = next(iter(expected), None)
    if first is None:
        return
    prefixes = sorted((k.removesuffix(first) for k in weights if k.endswith(first)), key=len)
    for prefix in prefixes:
        found = {k: weights.get(prefix + k) for k in expected}
        if all(w is not None and w.shape == expected[k].shape for k, w in found.items()):
            if not prefix and weights.keys() != expected.keys():
                continue  # the names are right, but there are more of them: the reader of weights says which
            if prefix and not prefix.endswith("."):
                continue
            yield prefix, found
            if not prefix:
                return


def _list_names(weights: Mapping[str, Any]) -> str:
    names = list(weights)
    return ", ".join(names[:MAX_LISTED]) + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")


def _describe(content: Any) -> str:
    """Describes the state dicts in a file and their names."""
    return "; ".join(f"{k or 'a state dict'} ({_list_names(v)})" for k, v in _list_state_dicts(content))[:1000]
