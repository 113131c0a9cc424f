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
    # python -m searches the current folder first, but a package there is not ours; our own checkout is searched last
    sys.path[:] = [*sys.path[1:], *(p for p in sys.path[:1] if p == os.path.dirname(os.path.dirname(__file__)))]

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "examine": "examination.examination",
    "Examination": "examination.examination",
    "rollout": "rollouts.rollouts",
    "replay": "rollouts.replays",
    "measure": "examination.logged",
    "place": "examination.logged",
    "open_run": "examination.logged",
    "plot": "reporting",
    "write_report": "reporting",
    "Placement": "questions.spectrum.placement",
    "Rule": "questions.spectrum.placement",
    "Finding": "findings",
    "Family": "contracts.family",
    "FamilyEnv": "rollouts.family_env",
    "Percept": "contracts.family",
    "observe": "agents.observing",
    "Subject": "contracts.subject",
    "Response": "contracts.subject",
    "Condition": "contracts.condition",
    "Metric": "contracts.metric",
    "read_log": "logs",
    "make": "agents.opening",
    "wrap": "agents.function",
    "MesascopeError": "errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Resolves a public name when it is first used: importing costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mesascope' has no attribute {name!r}; there are {', '.join(__all__)}")
    return getattr(importlib.import_module(f"mesascope.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
