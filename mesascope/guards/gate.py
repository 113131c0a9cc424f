"""The gate: whatever a text would have imported, made, unpickled or asked over a network passes here, or nowhere.

It is shut to texts that stand in files. It is open to what the user typed, handed over in Python or trusts (`typed`),
to installed plug-ins, and to the packages that our own code names.
"""

import contextlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from mesascope.errors import MesascopeError

PACKAGES = (
    *("torch", "stable_baselines3", "sb3_contrib", "cloudpickle", "onnx", "onnxruntime", "mctx"),
    *("httpx", "xllamacpp", "transformers"),
)
PLAIN = re.compile(r"[^:./\\]*(/[\w-]+)?")  # an environment's id, words: neither a module nor a file
LIBRARIES = (str(Path(__file__).parents[1]) + os.sep, str(Path(os.__file__).parent) + os.sep, "<frozen")
_TYPED: dict[str, None] = {}


def allow(*texts: Any) -> None:
    """Takes note of what the user typed, handed over or trusts: what stands in it may run, in this process."""
    _TYPED.update(dict.fromkeys(os.fspath(t) for t in texts if isinstance(t, str | os.PathLike)))


def allow_from_python(*texts: Any) -> None:
    """The same where what calls the function that calls this is no module of ours: a Python caller's own act."""
    frame: Any = sys._getframe(2)
    while frame.f_globals.get("__name__") == "contextlib":  # of a decorator around the one that calls this
        frame = frame.f_back
    file, own = frame.f_code.co_filename, str(frame.f_globals.get("__name__")).startswith("mesascope.")
    if not own and ("-packages" in file or not file.startswith(LIBRARIES)):
        allow(*texts)


def permit(name: str, label: str, does: str = "would import and run code") -> None:
    """Refuses a name that is no whole part of anything that the user typed.

    Args:
        name: 'module:name', an address, a file.
        what: what it is, for the message.
        does: what would come of it.

    Raises:
        MesascopeError: only a file names it.
    """
    pattern = re.compile(rf"(?<![\w.:-]){re.escape(name)}(?![\w.:-])")
    if not any(pattern.search(text) for text in _TYPED):
        raise MesascopeError(
            f"{label} {name!r} {does} that a file names.", "Read it, then add --trust, or type it yourself."
        )


def find_function(path: str, label: str, remedy: str) -> Any:
    """What 'package.module:name' stands for; the module may lie in the present folder.

    Args:
        path: with or without '.py' behind the module.
        what: what it is, for messages.
        remedy: what to type instead.

    Raises:
        MesascopeError: only a file names it, it cannot be imported, or holds nothing of that name.
    """
    permit(path, label)
    place, _, name = path.partition(":")
    module = _import_own(place.removesuffix(".py"), remedy)
    if not callable(function := getattr(module, name, None)):
        raise MesascopeError(f"The module {module.__name__!r} has no function {name!r}.", remedy)
    return function


def call_factory(path: str, factory: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's factory gives; what it raises is an error that names it."""
    try:
        return factory(*arguments)
    except Exception as error:
        raise MesascopeError(
            f"{path} raised {type(error).__name__}: {error}.", "It is called as factory(family)."
        ) from error


def _import_own(place: str, remedy: str) -> ModuleType:
    _OWN.watch()
    try:
        return importlib.import_module(place)
    except Exception as error:
        raise MesascopeError(
            f"The module {place!r} cannot be imported: {type(error).__name__}: {error}.", remedy
        ) from error


def make_environment(make: Callable[..., Any], name: Any, keywords: dict[str, Any]) -> Any:
    """What Gymnasium makes, or tells, of an environment.

    Args:
        make: gymnasium.make, make_vec or spec.
        name: its id; where that names the module that registers it, the module is imported.
        keywords: of the environment.

    Raises:
        MesascopeError: a file alone names a module, or a keyword that is more than a word or a number.
    """
    check_settings([name, keywords])
    module, _, own = name.rpartition(":")
    if module:
        _OWN.watch()
        importlib.import_module(module)
    return make(own, **keywords)


def check_settings(settings: Any) -> None:
    """Refuses texts among an environment's settings that are more than a word, and that the user did not type.

    Raises:
        MesascopeError: only a file names such a text.
    """
    for text in _list_texts(settings):
        if not PLAIN.fullmatch(text):
            permit(text, "The setting of an environment")


def _list_texts(value: Any) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _list_texts([*value, *value.values()])
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _list_texts(part)


def call_drawer(result: Any) -> Any:
    """What the user's own function returned, which is as good as typed."""
    allow(*_list_texts(result))
    return result


def import_plugin(name: str) -> ModuleType:
    """The module of a plug-in that is installed."""
    return importlib.import_module(name)


def import_package(name: str) -> ModuleType:
    """A module of one of the packages that our own code names."""
    if name.partition(".")[0] not in PACKAGES:
        raise ValueError(f"{name!r} is no package that mesascope uses")
    return importlib.import_module(name)


def run_file(path: Path, name: str) -> ModuleType:
    """Runs a file that ships or is trusted, as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_pickle(data: bytes, trusted: bool) -> Any:
    """What a pickle makes of itself, running what it names."""
    if not trusted:
        raise ValueError("a pickle that is not trusted is only read as data")
    return import_package("cloudpickle").loads(data)


def load_weights(source: Any) -> Any:
    """What torch.save wrote: tensors and plain data alone."""
    return import_package("torch").load(source, map_location="cpu", weights_only=True)


def load_pretrained(kind: Any, folder: str, trusted: bool, **options: Any) -> Any:
    """A tokenizer or model of transformers from a folder; its own code runs where that is trusted; nobody is asked."""
    return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted, **options)


class _Own:
    """Finds modules in the folder where the user typed one, after all others, and for the user's own code alone.

    A library that looks for an optional package never finds one there.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []

    def watch(self) -> None:
        """The present folder, from now on."""
        with contextlib.suppress(OSError):  # it is gone
            self.folders = list(dict.fromkeys([os.getcwd(), *self.folders]))
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As `importlib` asks for it."""
        return None if path is not None or not _is_own_import() else PathFinder.find_spec(name, self.folders)


def _is_own_import() -> bool:
    """Whether an import is this gate's, the user's own code's, or of what came into a process of the user's."""
    frame: Any = sys._getframe(2)
    while frame and str(frame.f_globals.get("__name__")).startswith("importlib"):
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__")) if frame else ""
    if name in (__name__, "gymnasium.envs.registration") or name.startswith("multiprocessing."):
        return True
    file = frame.f_code.co_filename if frame else "<frozen"
    return not file.startswith(LIBRARIES) and "-packages" not in file


_OWN = _Own()
if "--multiprocessing-fork" in sys.orig_argv:  # a process that the user's own code began
    _OWN.watch()
