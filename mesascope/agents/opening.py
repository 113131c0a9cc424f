"""From what a user names to a subject: an object, a function, a name with settings, a file, package.module:factory."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope import catalogue
from mesascope.agents.function import wrap
from mesascope.contracts.family import Family
from mesascope.contracts.subject import Subject
from mesascope.errors import MesascopeError
from mesascope.guards import gate


def make(kind: str, spec: Any, *family: Any, trust: bool = False, **settings: Any) -> Any:
    """Makes the plug-in that a text names; subjects are opened from all that the command line opens.

    Args:
        kind: families, subjects, conditions, metrics, recipes or axes.
        spec: 'name' or 'name:key=value,…'; for a subject also a file, an address, package.module:factory or a function.
        family: of a subject, or its text; a file that says which family it belongs to needs none.
        trust: whether code that a subject's file brings may run.
        settings: in Python, over those in the text.

    Raises:
        MesascopeError: nothing answers to it, or a setting is wrong.
    """
    gate.allow_from_python(spec, *family, *settings.values())
    if kind != "subjects":
        return catalogue.make(kind, spec, *family, **settings)
    home = open_family(*family) if family else open_family(default_family([spec], trust))
    if settings:
        return catalogue.make(kind, spec, home, **settings)
    return open_subject(spec, home, trust)


def open_family(family: Family | str) -> Family:
    """A family, or the one that a text names."""
    if isinstance(family, str):
        return catalogue.make("families", family)
    if not isinstance(family, Family):
        raise MesascopeError(
            f"{type(family).__name__} is not a family.",
            "Give a Family, or a name such as 'bernoulli_bandit:arms=5'.",
        )
    return family


def open_subjects(subjects: Any, family: Family, trust: bool = False) -> list[Subject]:
    """One or several subjects; a mapping gives them names, and equal names are numbered."""
    if isinstance(subjects, Mapping):
        opened = [rename(open_subject(s, family, trust), name) for name, s in subjects.items()]
    else:
        several = subjects if isinstance(subjects, list | tuple) else [subjects]
        opened = [open_subject(s, family, trust) for s in several]
    if not opened:
        raise MesascopeError("No subject is named.", "Name one, such as 'thompson'.")
    seen: dict[str, int] = {}
    for i, one in enumerate(opened):
        seen[one.name] = seen.get(one.name, 0) + 1
        if seen[one.name] > 1:
            opened[i] = rename(one, f"{one.name}-{seen[one.name]}")
    return opened


def rename(subject: Subject, name: str) -> Subject:
    """The same subject by another name, which is what reports call it."""
    if not name or not name.isprintable():
        raise MesascopeError(
            f"{name!r} cannot be the name of a subject.", "Give a name of printable characters."
        )
    renamed = copy.copy(subject)
    object.__setattr__(renamed, "name", name)
    return renamed


def open_subject(subject: Any, family: Family, trust: bool = False) -> Subject:
    """A subject from an object, a function, a name with settings, a file, or package.module:factory.

    Raises:
        MesascopeError: nothing answers to it, or two adapters claim the file.
    """
    if isinstance(subject, Subject):
        return subject
    if callable(subject):
        return wrap(subject, family)
    if not isinstance(subject, str | os.PathLike):
        raise MesascopeError(
            f"{type(subject).__name__} is not a subject.", "Give a Subject, a function, a name or a file."
        )
    gate.allow_from_python(spec := os.fspath(subject))
    if spec.partition("://")[0].isalpha() and "://" in spec:  # an address, whatever its password holds
        return catalogue.make("subjects", find_adapter(spec), family, path=spec)
    name = catalogue.parse_spec(spec)[0] if "=" in spec or ":" not in spec else spec.partition(":")[0]
    if name in catalogue.names("subjects"):
        spec, called = _split_name(spec, name)
        made = catalogue.make("subjects", spec, family, **catalogue.trust_setting("subjects", name, trust))
        return made if called is None else rename(made, called)
    if Path(spec).is_file():
        name = find_adapter(spec)
        return catalogue.make(
            "subjects", name, family, path=spec, **catalogue.trust_setting("subjects", name, trust)
        )
    _refuse_missing(spec)
    if ":" in spec and "=" not in spec:
        return catalogue.make("subjects", "function", family, path=spec)
    return catalogue.make("subjects", spec, family)  # says which names there are


def _refuse_missing(spec: str) -> None:
    """Raises where a text can only be a file, and there is none."""
    named = os.sep in spec or (Path(spec).suffix and ":" not in spec and "=" not in spec)
    if named and not Path(spec).is_file():
        raise MesascopeError(
            f"There is no file {spec!r}.", "Name a file, a subject or package.module:factory."
        )


def _split_name(spec: str, subject: str) -> tuple[str, str | None]:
    """A subject's text without the setting 'name', which every subject has, and that name, None without one."""
    if "name=" not in spec or "name" in catalogue.settings(catalogue.factory("subjects", subject)):
        return spec, None
    given = catalogue.parse_spec(spec)[1]
    called = given.pop("name", None)
    rest = ",".join(f"{k}={v}" for k, v in given.items())
    return f"{subject}:{rest}" if rest else subject, called


def default_family(subjects: Sequence[Any], trust: bool = False) -> str:
    """The family of the first subject that is a file which says its own.

    Raises:
        MesascopeError: no subject says one, or code that the file names with it is not trusted.
    """
    for spec in map(str, subjects):
        name, given = catalogue.parse_spec(spec) if "path=" in spec else ("", {})
        path = given.get("path", spec)
        if name or Path(path).is_file():
            module = catalogue.module("subjects", name or find_adapter(path))
            if hasattr(module, "family_of"):
                spec = module.family_of(path)
                if trust:
                    gate.allow(spec)
                else:
                    catalogue.make("families", spec)  # says what it would run
                return spec
        else:
            _refuse_missing(path)
    raise MesascopeError(
        "No subject says which family it belongs to.", "Add --family bernoulli_bandit:arms=5,trials=100, say."
    )


def find_adapter(path: str) -> str:
    """The name of the one subject adapter that opens a file.

    Raises:
        MesascopeError: none does, or several do.
    """
    claims = []
    for name in catalogue.names("subjects"):
        try:
            module = catalogue.module("subjects", name)
        except MesascopeError:  # another package's, broken: no reason not to open a file of ours
            continue
        if hasattr(module, "opens") and module.opens(path):
            claims.append(name)
    if len(claims) == 1:
        return claims[0]
    told = f"{' and '.join(claims)} both claim it" if claims else "no adapter opens it"
    remedy = "Name the adapter, as adapter:path=FILE."
    if path.endswith(".py"):
        remedy = f"Name the function in it that makes the subject, as {Path(path).stem}:factory."
    raise MesascopeError(f"{path!r} cannot be opened as a subject: {told}.", remedy)
