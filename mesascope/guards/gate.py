"""The gate: every import, call, unpickling or network request that a text could cause must pass through this module.

The gate allows texts that the user typed, passed in Python or trusts. It also allows installed plug-ins, and packages
that mesascope's own code names. It refuses all other texts, which come from files that the user does not trust.
"""

import contextlib
import importlib
import importlib.util
import os
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from mesascope.errors import MesascopeError

ALLOWED_PACKAGES = (
    *("torch", "stable_baselines3", "sb3_contrib", "cloudpickle", "onnx", "onnxruntime", "mctx"),
    *("httpx", "xllamacpp", "transformers", "numpyro", "distributed"),
)
HARMLESS_SETTING_PATTERN = re.compile(r"[^:./\\]*(/[\w-]+)?")  # words or an environment's id, but no module or file
LIBRARY_FOLDERS = (str(Path(__file__).parents[1]) + os.sep, str(Path(os.__file__).parent) + os.sep, "<frozen")
_ALLOWED_TEXTS: dict[str, None] = {}


def allow(*texts: Any) -> None:
    """Records texts that the user typed, passed in Python or trusts, so that the code that they name may run."""
    _ALLOWED_TEXTS.update(dict.fromkeys(os.fspath(t) for t in texts if isinstance(t, str | os.PathLike)))


def allow_from_python(*texts: Any) -> None:
    """Records texts as `allow` does, but only if the function that calls this one was called by the user's own code."""
    frame: Any = sys._getframe(2)
    while frame.f_globals.get("__name__") == "contextlib":  # a decorator of the calling function
        frame = frame.f_back
    file, is_ours = frame.f_code.co_filename, str(frame.f_globals.get("__name__")).startswith("mesascope.")
    if not is_ours and ("-packages" in file or not file.startswith(LIBRARY_FOLDERS)):
        allow(*texts)


def require_allowed(name: str, label: str, consequence: str = "would import and run code") -> None:
    """Refuses a name that the user has not typed, passed in Python, or trusted.

    Args:
        name: 'module:name', an address, or a file.
        label: the beginning of the message, which says what the name denotes, such as 'The address'.
        consequence: what would happen if the name were used, for the message.

    Raises:
        MesascopeError: the name comes from a file, and the user has neither typed nor trusted it.
    """
    pattern = re.compile(rf"(?<![\w.:-]){re.escape(name)}(?![\w.:-])")
    if not any(pattern.search(text) for text in _ALLOWED_TEXTS):
        problem = f"{label} {name!r} {consequence} that a file names."
        raise MesascopeError(problem, "Read the file, then add --trust, or type the name yourself.")


def find_function(path: str, label: str, remedy: str) -> Any:
    """Finds the callable that 'package.module:name' names; the module may be in the current folder.

    Args:
        path: the text, with or without '.py' after the module.
        label: the kind of callable, for messages.
        remedy: the remedy in messages, such as what to type instead.

    Raises:
        MesascopeError: the text comes from a file and is not trusted, the module cannot be imported, or the module has
            no such callable.
    """
    require_allowed(path, label)
    module_name, _, name = path.partition(":")
    module = _import_user_module(module_name.removesuffix(".py"), remedy)
    if not callable(function := getattr(module, name, None)):
        raise MesascopeError(f"The module {module.__name__!r} has no function {name!r}.", remedy)
    return function


def call_factory(path: str, factory: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the user's factory `factory`, which the text `path` names, and returns what the factory returns.

    Raises:
        MesascopeError: the factory raised an exception, which the message describes.
    """
    try:
        return factory(*arguments)
    except Exception as error:
        problem = f"{path} raised {type(error).__name__}: {error}."
        raise MesascopeError(problem, "It is called as factory(family).") from error


def _import_user_module(module_name: str, remedy: str) -> ModuleType:
    _USER_MODULES.add_current_folder()
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        problem = f"The module {module_name!r} cannot be imported: {type(error).__name__}: {error}."
        raise MesascopeError(problem, remedy) from error


def make_environment(make: Callable[..., Any], name: Any, keywords: dict[str, Any]) -> Any:
    """Calls a function of Gymnasium with an environment's id.

    Args:
        make: the function to call: gymnasium.make, gymnasium.make_vec or gymnasium.spec.
        name: the environment's id; in the form 'module:id', it also names the module to import, which registers the id.
        keywords: the environment's settings.

    Raises:
        MesascopeError: the module's name, or a setting that could name a module or a file, comes from a file and is not
            trusted.
    """
    check_settings([name, keywords])
    module, _, environment_id = name.rpartition(":")
    if module:
        _USER_MODULES.add_current_folder()
        importlib.import_module(module)
    return make(environment_id, **keywords)


def check_settings(settings: Any) -> None:
    """Refuses settings of an environment that could name a module or a file, unless the user typed or trusts them.

    Raises:
        MesascopeError: such a setting comes from a file and is not trusted.
    """
    for text in _list_texts(settings):
        if not HARMLESS_SETTING_PATTERN.fullmatch(text):
            require_allowed(text, "The setting of an environment")


def _list_texts(value: Any) -> Iterator[str]:
    """Yields every text in plain data, including the keys of dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _list_texts([*value, *value.values()])
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _list_texts(part)


def allow_result(result: Any) -> Any:
    """Records all texts in the result of the user's own function as allowed, and returns the result."""
    allow(*_list_texts(result))
    return result


def import_plugin(name: str) -> ModuleType:
    """Imports the module of an installed plug-in."""
    return importlib.import_module(name)


def import_package(name: str) -> ModuleType:
    """Imports a module of one of the packages in ALLOWED_PACKAGES, which mesascope's own code names."""
    if name.partition(".")[0] not in ALLOWED_PACKAGES:
        raise ValueError(f"{name!r} is not a package that mesascope uses")
    return importlib.import_module(name)


class _UncachedLoader(SourceFileLoader):
    """Loads a file without Python's bytecode cache, which misses a change within one second that keeps the size."""

    def get_code(self, fullname: str) -> Any:
        """Compiles the file as it is now."""
        return self.source_to_code(self.get_data(self.path), self.path)


def run_file(path: Path, name: str) -> ModuleType:
    """Runs a file as a module with this name; call it only with files of mesascope or files that the user trusts."""
    spec = importlib.util.spec_from_file_location(name, path, loader=_UncachedLoader(name, str(path)))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_pickle(data: bytes, is_trusted: bool) -> Any:
    """Unpickles data that the user trusts; unpickling runs the code that the pickle names.

    Raises:
        ValueError: `is_trusted` is false, so the data may only be read by the module `pickles`.
    """
    if not is_trusted:
        raise ValueError("a pickle that is not trusted may only be read as data")
    return pickle.loads(data)


def load_weights(source: Any) -> Any:
    """Reads tensors and plain data, and no other objects, from a file that torch.save wrote."""
    return import_package("torch").load(source, map_location="cpu", weights_only=True)


def load_module(path: str, is_script: bool, class_names: Sequence[str], is_trusted: bool) -> Any:
    """Loads a whole PyTorch module if the user trusts the file, because this runs code in the file or that it names.

    Args:
        path: the path of the file.
        is_script: whether the file is a TorchScript archive.
        class_names: the classes that the file names, as package.module.Class; their modules are imported first, and may
            be in the current folder.
        is_trusted: whether the user trusts the file.
    """
    if not is_trusted:
        raise ValueError("a module that is not trusted may not be loaded")
    torch = import_package("torch")
    if is_script:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch announces another format
            return torch.jit.load(path, map_location="cpu")
    _USER_MODULES.add_current_folder()
    for name in class_names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name.rpartition(".")[0])
    return torch.load(path, map_location="cpu", weights_only=False)


def load_pretrained(loader_class: Any, folder: str, is_trusted: bool, **options: Any) -> Any:
    """Loads a tokenizer or model from a folder, without downloads; runs code in the folder only if `is_trusted`."""
    return loader_class.from_pretrained(folder, local_files_only=True, trust_remote_code=is_trusted, **options)


class _UserModuleFinder:
    """Finds modules in the user's current folder, after all other places, and only for the user's own imports.

    So if a library tries to import an optional package, it does not find a file of that name in the user's folder.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []

    def add_current_folder(self) -> None:
        """Adds the current folder to the folders that are searched."""
        with contextlib.suppress(OSError):  # the folder was deleted
            self.folders = list(dict.fromkeys([os.getcwd(), *self.folders]))
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Finds the import spec of a module, for `importlib`."""
        return None if path is not None or not _is_user_import() else PathFinder.find_spec(name, self.folders)


def _is_user_import() -> bool:
    """Checks whether an import comes from this gate, the user's own code, or a process that the user's code started."""
    frame: Any = sys._getframe(2)
    while frame and str(frame.f_globals.get("__name__")).startswith("importlib"):
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__")) if frame else ""
    if name in (__name__, "gymnasium.envs.registration") or name.startswith("multiprocessing."):
        return True
    file = frame.f_code.co_filename if frame else "<frozen"
    return not file.startswith(LIBRARY_FOLDERS) and "-packages" not in file


_USER_MODULES = _UserModuleFinder()
if "--multiprocessing-fork" in sys.orig_argv:  # a process that the user's own code started
    _USER_MODULES.add_current_folder()
