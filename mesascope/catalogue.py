"""Finds plug-ins by name in the folders of this package and in the entry points of other packages.

A plug-in is a module with one factory, a function with the name of the plug-in's kind, such as `metric`. A plug-in is
imported only when its name is requested.
"""

import functools
import inspect
import math
import re
import sys
import tomllib
import typing
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from mesascope.errors import MesascopeError, make_unknown_name_error, require, require_known_name
from mesascope.guards import gate
from mesascope.guards.blame import prevent_exits

KINDS = {
    "families": "family",
    "subjects": "subject",
    "conditions": "condition",
    "metrics": "metric",
    "recipes": "recipe",
    "axes": "axis",
}
PACKAGE_FOLDER = Path(__file__).parent
PLUGIN_FILE_PATTERNS = {  # for each kind of plug-in, the patterns of its files in this package
    "families": ("worlds/*/families/*.py",),
    "subjects": ("worlds/*/subjects/*.py", "agents/*.py", "agents/*/*.py"),
    "conditions": ("conditions/*.py", "worlds/*/conditions/*.py"),
    "metrics": ("questions/*/*.py", "worlds/*/metrics/*.py"),
    "recipes": ("recipes/*.py", "worlds/*/recipes/*.py"),
    "axes": ("questions/*/axis.py",),
}
INSTALL_REMEDY = "A plug-in of your own package is found once the package is installed: pip install -e ."
STUDIES_FOLDER = PACKAGE_FOLDER / "studies"  # not plug-ins: each study is a folder of data
LISTED_KINDS = {**KINDS, "studies": "study"}
# parameters of factories that the calling code passes, so users cannot set them in a spec
CALLER_PARAMETERS = ("family", "rollouts", "lived", "out", "progress", "trust")


def make_plural(kind: str) -> str:
    """Converts the name of a kind to its plural; a plural or any other text is returned unchanged."""
    return {one: several for several, one in LISTED_KINDS.items()}.get(kind, kind)


def list_names(kind: str) -> list[str]:
    """Lists the names of all plug-ins of a kind, or of all studies, without importing them."""
    if kind == "studies":
        return sorted(p.parent.name for p in STUDIES_FOLDER.glob("*/plan.toml"))
    return sorted({*_find_own_modules(kind), *(e.name for e in _find_entry_points(kind, tuple(sys.path)))})


@functools.cache
def _find_entry_points(kind: str, search_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Finds the plug-ins of a kind in other packages; caches the result for each search path, because this is slow."""
    return tuple(entry_points(group=f"mesascope.{kind}"))


@functools.cache
def _find_own_modules(kind: str) -> dict[str, str]:
    """Finds the modules of this package that define a plug-in of a kind; returns their names by the plug-in's name."""
    factory_line = re.compile(rf"^(def {KINDS[kind]}\(|{KINDS[kind]} = )", re.MULTILINE)
    files = [file for place in PLUGIN_FILE_PATTERNS[kind] for file in sorted(PACKAGE_FOLDER.glob(place))]
    files = [file for file in files if factory_line.search(file.read_text(encoding="utf-8"))]
    paths = [file.relative_to(PACKAGE_FOLDER.parent).with_suffix("") for file in files]
    return {path.parts[-2 if kind == "axes" else -1]: ".".join(path.parts) for path in paths}


def _find_modules(kind: str, name: str) -> list[str]:
    """Finds the names of the modules that define the plug-in with this name; there should be only one module."""
    own = [_find_own_modules(kind)[name]] if name in _find_own_modules(kind) else []
    return [*own, *sorted({e.module for e in _find_entry_points(kind, tuple(sys.path)) if e.name == name})]


@prevent_exits()
def import_plugin_module(kind: str, name: str) -> ModuleType:
    """Imports and returns the module of one plug-in.

    Raises:
        MesascopeError: the kind or the name does not exist (the message lists similar names), several modules define
            the name, or the import fails.
    """
    require_known_name("kind of plug-in", kind, KINDS)
    if name not in list_names(kind):
        error = make_unknown_name_error(KINDS[kind], name, list_names(kind))
        raise MesascopeError(error.problem, f"{error.remedy} {INSTALL_REMEDY}")
    modules = _find_modules(kind, name)
    if len(modules) > 1:
        problem = f"{' and '.join(modules)} both define the {KINDS[kind]} {name!r}."
        raise MesascopeError(problem, "Rename one of them, or uninstall its package.")
    try:
        return gate.import_plugin(modules[0])
    except Exception as error:
        problem = f"The {KINDS[kind]} {name!r} ({modules[0]}) cannot be imported: {type(error).__name__}: {error}."
        raise MesascopeError(problem, "Correct or uninstall it.") from error


def get_factory(kind: str, name: str) -> Callable[..., Any]:
    """Returns the factory of one plug-in; its parameters are the plug-in's settings (see `list_settings`)."""
    function = getattr(import_plugin_module(kind, name), KINDS[kind], None)
    if not callable(function):
        raise MesascopeError(f"The {KINDS[kind]} {name!r} has no factory.", f"Define a function {KINDS[kind]}(...).")
    return function


def list_settings(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Lists the settings of a factory: its parameters, except those in CALLER_PARAMETERS."""
    return {k: p for k, p in inspect.signature(factory).parameters.items() if k not in CALLER_PARAMETERS}


def parse_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Splits a spec 'name:key=value,key=value' into the name and the settings, all as text.

    Raises:
        MesascopeError: a setting has no '=', or is set twice.
    """
    name, _, rest = spec.partition(":")
    settings: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            label = f"{pair!r} in {spec!r}" if "://" not in spec else f"What follows a comma in {spec!r}"
            raise MesascopeError(f"{label} is not a setting.", f"Type {name}:key=value,key=value.")
        if key.strip() in settings:
            raise MesascopeError(f"{key.strip()!r} is set twice in {spec!r}.", "Set it once.")
        settings[key.strip()] = value.strip()
    return name.strip(), settings


@prevent_exits()
def make(kind: str, spec: str, *arguments: Any, **preset: Any) -> Any:
    """Makes the plug-in that a spec names.

    Args:
        kind: 'families', 'subjects', 'conditions', 'metrics', 'recipes' or 'axes'.
        spec: the plug-in's name, or its name with settings, 'name:key=value,…'.
        arguments: the factory's first arguments, such as the family for a subject.
        preset: settings as Python values, which override those in the spec.

    Raises:
        MesascopeError: there is no such plug-in, a setting is unknown or has a wrong value, or the factory fails.
    """
    gate.allow_from_python(spec, *preset.values())
    name, texts = parse_spec(spec)
    factory, label = get_factory(kind, name), f"{KINDS[kind]} {name!r}"
    keywords = {**convert_settings(factory, texts, label), **preset}
    try:
        inspect.signature(factory).bind(*arguments, **keywords)
    except TypeError as error:
        problem = f"The {label} cannot be made: {error}."
        raise MesascopeError(problem, f"Its settings are: {', '.join(list_settings(factory)) or 'none'}.") from None
    try:
        return factory(*arguments, **keywords)
    except MesascopeError:
        raise
    except Exception as error:
        problem = f"The {label} cannot be made: its factory raised {type(error).__name__}: {error}."
        raise MesascopeError(problem, f"Give it other settings, or correct {factory.__module__}.") from error


def make_list(value: Any) -> list[Any] | None:
    """Turns a single value into a list of one, and a list or tuple into a list; None stays None."""
    if value is None:
        return None
    return list(value) if isinstance(value, list | tuple) else [value]


def make_plugins(kind: str, specs: Any = None) -> list[Any]:
    """Makes plug-ins of a kind from one or several specs; keeps objects as they are.

    If `specs` is None or empty, all plug-ins of the kind are made with their default settings.
    """
    return [make(kind, one) if isinstance(one, str) else one for one in make_list(specs) or list_names(kind)]


def convert_settings(factory: Callable[..., Any], setting_texts: dict[str, str], label: str) -> dict[str, Any]:
    """Converts settings from text to the types in the factory's signature.

    Args:
        factory: the factory whose settings they are.
        setting_texts: the settings as text, by name.
        label: the plug-in as error messages name it, such as "metric 'benefit'".

    Raises:
        MesascopeError: a setting is unknown, or its value does not have the type in the signature.
    """
    parameters = list_settings(factory)
    try:
        hints = typing.get_type_hints(factory)
    except NameError:  # an annotation uses a name that only a type checker imports
        hints = {k: type(p.default) for k, p in parameters.items()}
    result = {}
    for key, text in setting_texts.items():
        if key not in parameters:
            error = make_unknown_name_error("setting", key, parameters)
            raise MesascopeError(f"The {label} has no setting {key!r}.", error.remedy)
        default = parameters[key].default
        example = f"{key}={1 if default is inspect.Parameter.empty else default}"
        result[key] = _parse_value(hints.get(key, str), text, example, f"{key}={text!r} of the {label}")
    return result


def _parse_value(value_type: Any, text: str, example: str, label: str) -> Any:
    """Converts one setting from text to a type; error messages show `example`, and call the setting `label`."""
    if value_type is bool:
        truth = {**dict.fromkeys(("true", "yes", "1"), True), **dict.fromkeys(("false", "no", "0"), False)}
        require(text.lower() in truth, f"{label} is neither true nor false.", f"Type e.g. {example.lower()}.")
        return truth[text.lower()]
    if value_type not in (int, float):
        return text
    try:
        value = value_type(text)
    except ValueError:
        word = "whole number" if value_type is int else "number"
        raise MesascopeError(f"{label} is not a {word}.", f"Type e.g. {example}.") from None
    require(value_type is int or math.isfinite(value), f"{label} is not finite.", f"Type e.g. {example}.")
    return value


def make_trust_setting(kind: str, name: str, is_trusted: bool) -> dict[str, bool]:
    """Makes the setting {'trust': True} if the user trusts a file's code and the factory has this setting, else {}."""
    accepts_trust = is_trusted and "trust" in inspect.signature(get_factory(kind, name)).parameters
    return {"trust": True} if accepts_trust else {}


def read_summary(factory: Callable[..., Any]) -> str:
    """Reads the first line of a factory's docstring."""
    return (inspect.getdoc(factory) or "").strip().split("\n")[0]


def describe_plugins(kind: str) -> list[dict[str, Any]]:
    """Describes each plug-in of a kind, or each study, as a dict.

    Returns:
        Dicts with `kind` (in the singular), `name`, `says` (a summary), `settings` (with their defaults; None without a
        default) and `package` (the package that the plug-in is from; '' for mesascope). For a study, `settings` are its
        number of seeds and its duration in minutes, and there is no `package`. If a plug-in or study cannot be read,
        `says` gives the reason, and `settings` is empty.
    """
    if kind == "studies":
        return [_describe_study(name) for name in list_names(kind)]
    rows = []
    for name in list_names(kind):
        try:
            factory = get_factory(kind, name)
            line, defaults = (
                read_summary(factory),
                {k: _convert_default(p.default) for k, p in list_settings(factory).items()},
            )
        except MesascopeError as error:
            line, defaults = f"broken: {error.problem}", {}
        package = "" if name in _find_own_modules(kind) else _find_modules(kind, name)[0].partition(".")[0]
        rows.append({"kind": KINDS[kind], "name": name, "says": line, "settings": defaults, "package": package})
    return rows


def _describe_study(name: str) -> dict[str, Any]:
    """Describes a study as a dict with its question, its number of seeds and its duration in minutes."""
    try:
        plan = tomllib.loads((STUDIES_FOLDER / name / "plan.toml").read_text(encoding="utf-8"))
        summary, settings = str(plan.get("says", "")), {k: plan.get(k) for k in ("seeds", "minutes")}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        summary, settings = f"broken: {error}", {}
    return {"kind": LISTED_KINDS["studies"], "name": name, "says": summary, "settings": settings}


def _convert_default(default: Any) -> Any:
    """Converts a setting's default to a JSON value; returns None if the setting has no default."""
    if default is inspect.Parameter.empty:
        return None
    return default if isinstance(default, str | int | float | bool | None) else str(default)
