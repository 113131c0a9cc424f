"""Opens a subject that is given as an object, a function, a name with settings, a file, or package.module:factory."""

import copy
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope import catalogue
from mesascope.agents.classes import is_agent
from mesascope.agents.function import wrap
from mesascope.contracts import Family, Subject
from mesascope.errors import MesascopeError
from mesascope.guards import gate


def make(kind: str, spec: Any, *family: Any, trust: bool = False, **settings: Any) -> Any:
    """Makes the plug-in that a spec names; for a subject, the spec may have any form that the command line accepts.

    Args:
        kind: the kind of plug-in, in the plural: families, subjects, conditions, metrics, recipes or axes.
        spec: 'name' or 'name:key=value,…'; for a subject also a file, an address, package.module:factory or a function.
        family: the subject's family or the family's name; not needed if the subject's file names the family.
        trust: whether code in the subject's file may run.
        settings: settings from Python, which override the settings in the spec.

    Raises:
        MesascopeError: no plug-in has this name, or a setting is wrong.
    """
    gate.allow_from_python(spec, *family, *settings.values())
    if kind != "subjects":
        return catalogue.make(kind, spec, *family, **settings)
    subject_family = open_family(*(family or [find_default_family([spec], trust)]))
    if settings:
        trust_setting = catalogue.make_trust_setting(kind, catalogue.parse_spec(spec)[0], trust)
        return catalogue.make(kind, spec, subject_family, **trust_setting, **settings)
    return open_subject(spec, subject_family, trust)


def open_family(family: Family | str) -> Family:
    """Returns a family unchanged, or makes the family with this name."""
    if isinstance(family, str):
        return catalogue.make("families", family)
    if not isinstance(family, Family):
        problem = f"{type(family).__name__} is not a family."
        raise MesascopeError(problem, "Give a Family, or a name such as 'bernoulli_bandit:arms=5'.")
    return family


def open_subjects(subjects: Any, family: Family, trust: bool = False) -> list[Subject]:
    """Opens one or several subjects; names them by the keys of a mapping, and adds numbers to equal names."""
    if isinstance(subjects, Mapping):
        result = [rename(open_subject(value, family, trust), name) for name, value in subjects.items()]
    else:
        subject_list = subjects if isinstance(subjects, list | tuple) else [subjects]
        result = [open_subject(s, family, trust) for s in subject_list]
    if not result:
        raise MesascopeError("There is no subject.", "Name one, such as 'thompson'.")
    names = {subject.name for subject in result}
    for i, subject in enumerate(result):
        if subject.name in {earlier.name for earlier in result[:i]}:
            name = next(n for n in (f"{subject.name}-{k}" for k in itertools.count(2)) if n not in names)
            names.add(name)
            result[i] = rename(subject, name)
    return result


def rename(subject: Subject, name: str) -> Subject:
    """Copies a subject, with another name for the reports."""
    if not name or not name.isprintable():
        raise MesascopeError(f"{name!r} cannot be the name of a subject.", "Give a name of printable characters.")
    result = copy.copy(subject)
    object.__setattr__(result, "name", name)
    return result


def open_subject(subject: Any, family: Family, trust: bool = False) -> Subject:
    """Opens a subject from an object, a function, a name with settings, a file, or package.module:factory.

    Raises:
        MesascopeError: there is no such subject or file, or two adapters open the file.
    """
    if isinstance(subject, Subject):
        return subject
    if callable(subject) or is_agent(subject):
        return wrap(subject, family)
    if not isinstance(subject, str | os.PathLike):
        problem = f"{type(subject).__name__} is not a subject."
        raise MesascopeError(problem, "Give a Subject, a function, a name or a file.")
    gate.allow_from_python(spec := os.fspath(subject))
    if spec.partition("://")[0].isalpha() and "://" in spec:  # an address; its password may contain ':' or '='
        return catalogue.make("subjects", find_adapter(spec), family, path=spec)
    name = catalogue.parse_spec(spec)[0] if "=" in spec or ":" not in spec else spec.partition(":")[0]
    if name in catalogue.list_names("subjects"):
        spec, given_name = _split_off_name(spec, name)
        result = catalogue.make("subjects", spec, family, **catalogue.make_trust_setting("subjects", name, trust))
        return result if given_name is None else rename(result, given_name)
    if Path(spec).is_file():
        name = find_adapter(spec)
        return catalogue.make(
            "subjects", name, family, path=spec, **catalogue.make_trust_setting("subjects", name, trust)
        )
    _refuse_missing_file(spec)
    if ":" in spec and "=" not in spec:
        return catalogue.make("subjects", "function", family, path=spec)
    return catalogue.make("subjects", spec, family)  # raises an error that lists the names of all subjects


def _refuse_missing_file(spec: str) -> None:
    """Raises `MesascopeError` if a text has the form of a file's path, but there is no such file."""
    is_path = os.sep in spec or (Path(spec).suffix and ":" not in spec and "=" not in spec)
    if is_path and not Path(spec).is_file():
        raise MesascopeError(f"There is no file {spec!r}.", "Name a file, a subject or package.module:factory.")


def _split_off_name(spec: str, subject: str) -> tuple[str, str | None]:
    """Removes the setting 'name', which every subject accepts, from a spec; returns the rest, and the name or None."""
    if "name=" not in spec or "name" in catalogue.list_settings(catalogue.get_factory("subjects", subject)):
        return spec, None
    settings = catalogue.parse_spec(spec)[1]
    given_name = settings.pop("name", None)
    other_settings = ",".join(f"{k}={v}" for k, v in settings.items())
    return f"{subject}:{other_settings}" if other_settings else subject, given_name


def find_default_family(subjects: Sequence[Any], trust: bool = False) -> str:
    """Finds the family that a subject's file names; if several files name a family, the first one counts.

    Raises:
        MesascopeError: no subject's file names a family, or making this family would run code that is not trusted.
    """
    for spec in (os.fspath(one) for one in subjects if isinstance(one, str | os.PathLike)):
        name, settings = catalogue.parse_spec(spec) if "path=" in spec else ("", {})
        path = settings.get("path", spec)
        if name or Path(path).is_file():
            module = catalogue.import_plugin_module("subjects", name or find_adapter(path))
            if hasattr(module, "read_family"):
                spec = module.read_family(path)
                if trust:
                    gate.allow(spec)
                else:
                    catalogue.make("families", spec)  # raises an error if making the family would run code
                return spec
        else:
            _refuse_missing_file(path)
    remedy = "Add for example --family bernoulli_bandit:arms=5,trials=100."
    raise MesascopeError("No subject's file names a family.", remedy)


def find_adapter(path: str) -> str:
    """Finds the name of the subject adapter that opens a file or an address.

    Raises:
        MesascopeError: no adapter opens the file or address, or several adapters open it.
    """
    adapters = []
    for name in catalogue.list_names("subjects"):
        try:
            module = catalogue.import_plugin_module("subjects", name)
        except MesascopeError:  # a broken plug-in of another package
            continue
        if hasattr(module, "can_open") and module.can_open(path):
            adapters.append(name)
    if len(adapters) == 1:
        return adapters[0]
    reason = f"{' and '.join(adapters)} both open it" if adapters else "no adapter opens it"
    remedy = "Name the adapter, as adapter:path=FILE."
    if path.endswith(".py"):
        remedy = f"Name the function in this file that makes the subject, as {Path(path).stem}:factory."
    raise MesascopeError(f"{path!r} cannot be opened as a subject: {reason}.", remedy)
