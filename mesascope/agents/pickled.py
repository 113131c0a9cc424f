"""An agent in a pickle, such as a fitted object with methods predict and partial_fit; opened with trust alone."""

import os
from pathlib import Path

from mesascope.agents.classes import from_class, is_agent
from mesascope.agents.foreign import FileKind, format_spec
from mesascope.agents.function import wrap
from mesascope.contracts import Family, Subject
from mesascope.errors import MesascopeError
from mesascope.guards import gate, limits

MAX_BYTES = 1 << 30  # the maximum number of bytes in a pickle
PICKLE = FileKind("pickle", "Name a .pkl file.", "Save it again with pickle or cloudpickle.")


def can_open(path: str | os.PathLike) -> bool:
    """Whether this adapter opens a file: only the ending decides."""
    return Path(path).suffix.lower() in (".pkl", ".pickle")


def subject(
    family: Family,
    *,
    path: str,
    observes: str = "",
    form: str = "vector",
    trained_on: str = "unknown",
    trust: bool = False,
) -> Subject:
    """An agent with methods such as act() and update(), or a function, in a pickle; it needs --trust.

    Args:
        family: the family that the agent runs on.
        path: the path of the file.
        observes: the parts of the percept in the agent's observation; '' for the family's observation.
        form: the form of an observation: vector, index or tuple.
        trained_on: the tasks that it was trained on: unlimited (ever new tasks of the family), bank:M@seed (M tasks
            drawn by seed) or unknown.
        trust: whether the code that the pickle names may run.
    """
    if not trust:
        problem = f"{path!r} is a pickle, and unpickling it would run code from the file."
        raise MesascopeError(problem, "If you trust its author, add --trust (trust=True in Python).")
    with PICKLE.explain_errors(path):
        agent = gate.load_pickle(limits.read_file(path, MAX_BYTES), trust)
    name = format_spec("pickled", path=path, observes=observes, form="" if form == "vector" else form)
    if not is_agent(agent):
        if callable(agent):
            return wrap(agent, family, name, trained_on)
        problem = f"{path!r} contains a {type(agent).__name__}, which has no method that returns an action."
        raise MesascopeError(problem, "Pickle an object with act(observation) or predict(observation).")
    return wrap(from_class(agent, observes, form), family, name, trained_on)
