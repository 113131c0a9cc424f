"""What does a network with frozen weights do with its experience, and how far does that reach?

The usual path is one call:

    found = mesascope.examine("thompson", "bernoulli_bandit:arms=5,trials=100", lifetimes=64)
    found.placement   # where the subject stands on the spectrum, and why
    found.findings    # every number with its interval, as a DataFrame
    found.plot()      # a matplotlib figure; found.report("page.html") writes all of them
    found.trials["fresh"]  # the trials themselves, as an xarray.Dataset

The subject is a function of your own, a Subject, a file of a network, or a name; `mesascope list` shows the names. What
`examine` does can be done step by step:

    make       makes a family, subject, condition or metric from its text
    rollout    runs a subject's lifetimes under conditions that disturb them
    measure    applies metrics to trials: those of `rollout`, or logged ones
    place      places the subject on the spectrum, from its trials
    open_run   opens the results of an earlier run, from its folder
    read_log   reads logged choices as trials

docs/python.md has an example of each. Plug-ins derive from Family, Subject, Condition and Metric: see docs/adding.md.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and "mesascope" in sys.orig_argv and not sys.flags.safe_path:
    # python -m searches the current folder first, where other packages may have our name; it is searched last if it
    # contains this package, and otherwise not at all
    sys.path[:] = [*sys.path[1:], *(p for p in sys.path[:1] if p == os.path.dirname(os.path.dirname(__file__)))]

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {  # by module: its public names
    "agents.function": ["wrap"],
    "agents.observing": ["observe"],
    "agents.opening": ["make"],
    "contracts.condition": ["Condition"],
    "contracts.family": ["Family", "Percept"],
    "contracts.metric": ["Metric"],
    "contracts.subject": ["Response", "Subject"],
    "errors": ["MesascopeError"],
    "examination.examination": ["Examination", "examine"],
    "examination.logged": ["measure", "open_run", "place"],
    "findings": ["Finding"],
    "logs": ["read_log"],
    "questions.spectrum.placement": ["Placement", "Rule"],
    "reporting": ["plot", "write_report"],
    "rollouts.family_env": ["FamilyEnv"],
    "rollouts.replays": ["replay"],
    "rollouts.rollouts": ["rollout"],
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Imports the module of a public name when the name is first used, so that importing mesascope costs nothing."""
    if name not in _MODULES:
        raise AttributeError(f"module 'mesascope' has no attribute {name!r}; there are {', '.join(__all__)}")
    return getattr(importlib.import_module(f"mesascope.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
