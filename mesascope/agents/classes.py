"""Agents that are Python classes with methods such as act() and update(): one copy and one call for each lifetime.

Every call of a method is made with random generators that are seeded for this lifetime and step: those that the agent
holds in its attributes, and the global ones of NumPy and Python. So an agent's draws differ between lifetimes, and are
the same in every run.
"""

import contextlib
import copy
import dataclasses
import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

from mesascope.agents.observing import make_percept_encoder
from mesascope.contracts import Family, check_choice
from mesascope.errors import MesascopeError

ACT_METHODS = ("act", "get_action", "select_action", "choose_action", "choose", "predict", "sample_action")
UPDATE_METHODS = ("update", "learn", "partial_fit", "observe")
FORMS = ("vector", "index", "tuple")
NAMES = {  # what a parameter of this name gets
    "observation": ("observation", "obs", "state", "s", "x", "X", "context", "features", "stimulus"),
    "action": ("action", "a", "choice", "arm"),
    "reward": ("reward", "r", "feedback", "payoff", "outcome", "y"),
    "next_observation": ("next_observation", "next_obs", "new_obs", "next_state", "new_state", "s_", "s2", "s_next"),
    "done": ("done", "terminated", "terminal", "is_done", "finished"),
    "truncated": ("truncated",),
    "info": ("info",),
    "trial": ("trial", "t", "step"),
}
MEANINGS = {name: meaning for meaning, names in NAMES.items() for name in names}
ORDERS = {  # the meanings of parameters with other names, by their number
    1: ("reward",),
    2: ("action", "reward"),
    3: ("observation", "action", "reward"),
    4: ("observation", "action", "reward", "next_observation"),
    5: ("observation", "action", "reward", "next_observation", "done"),
}
COUNTS = ("n_actions", "num_actions", "n_arms", "num_arms", "actions", "arms", "k", "K", "nA", "action_dim")
WIDTHS = ("n_states", "num_states", "n_observations", "obs_dim", "observation_dim", "state_dim", "n_features", "nS")
GENERATORS = ("rng", "generator", "random_state", "np_random")


@dataclasses.dataclass(frozen=True)
class AgentClass:
    """A class of agents, or an agent to copy, with what its methods get.

    Attributes:
        agent: the class, or one agent, which is copied for every lifetime.
        observes: the parts of the percept in the observation, in order and joined by '+'; '' for the family's
            observation in its own shape.
        form: the form of an observation: 'vector' for an array, 'index' for the index of its largest number (an int, as
            tabular agents want it), 'tuple' for a tuple of numbers.
        settings: keywords of the class.
        name: the name in reports; '' for the name of the class.
    """

    agent: Any
    observes: str = ""
    form: str = "vector"
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""


def from_class(agent: Any, observes: str = "", form: str = "vector", name: str = "", **settings: Any) -> AgentClass:
    """Makes a subject for `examine` from any class with methods such as act(observation) and update(...).

    Args:
        agent: the class, or one agent, for example a trained one, which is copied for every lifetime.
        observes: the parts of the percept in the observation, as in `mesascope.observe`; '' for the family's own.
        form: 'vector' for an array, 'index' for the index of its largest number, 'tuple' for a tuple.
        name: the name in reports.
        settings: keywords with which the class is called. A seed, a generator and the numbers of actions and
            observations are given by themselves if the class has parameters with the usual names.

    Raises:
        MesascopeError: there is no method that returns an action.
    """
    if not is_agent(agent):
        problem = f"{_describe(agent)} has no method that returns an action."
        raise MesascopeError(problem, f"Define act(observation), or one of {', '.join(ACT_METHODS[1:])}.")
    check_choice(FORMS, form=form)
    return AgentClass(agent, observes, form, settings, name)


def is_agent(value: Any) -> bool:
    """Whether a value is a class of agents or an agent: it has a method that returns an action."""
    return isinstance(value, AgentClass) or any(callable(getattr(value, name, None)) for name in ACT_METHODS)


def name_agent(value: Any) -> str:
    """Names an agent or a class of agents for reports."""
    return value.name or _describe(value.agent) if isinstance(value, AgentClass) else _describe(value)


def make_function(value: Any, family: Family) -> Callable[..., Any]:
    """Makes a function f(percept, state, rng) from a class of agents or an agent; see `AgentClass`."""
    return _Lifetimes(value if isinstance(value, AgentClass) else from_class(value), family)


def _describe(agent: Any) -> str:
    return agent.__name__ if inspect.isclass(agent) else type(agent).__name__


class _Lifetimes:
    """Calls the methods of one agent per lifetime; the state is an object array of (agent, its last observation)."""

    def __init__(self, spec: AgentClass, family: Family):
        self.spec, self.name = spec, name_agent(spec)
        encoder = make_percept_encoder(family, spec.observes) if spec.observes else None
        self.observe, self.choices, self.steps = encoder, family.choices, family.steps
        self.keywords = self._find_keywords(family) if inspect.isclass(spec.agent) else {}
        kind = spec.agent if inspect.isclass(spec.agent) else type(spec.agent)
        self.infers = all(hasattr(kind, name) for name in ("infer_states", "infer_policies", "sample_action"))
        self.act_name = "sample_action" if self.infers else next(m for m in ACT_METHODS if hasattr(kind, m))
        self.update_name = next((m for m in UPDATE_METHODS if callable(getattr(kind, m, None))), None)

    def _find_keywords(self, family: Family) -> dict[str, Any]:
        """Finds the keywords with which the class is called, apart from seeds and generators."""
        width = int(np.prod(family.observation_shape)) if self.observe is None else self.observe.width
        arguments: dict[str, Any] = {"family": family}
        arguments |= dict.fromkeys(COUNTS, family.choices) | dict.fromkeys(WIDTHS, width)
        if family.choices:
            arguments["action_space"] = gymnasium.spaces.Discrete(family.choices)
        arguments["observation_space"] = gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        parameters = _list_parameters(self.spec.agent)
        found = {
            k: arguments[k] for k, p in parameters.items() if k in arguments and (p.default is p.empty or k == "family")
        }
        found |= dict(self.spec.settings)
        missing = [
            k
            for k, p in parameters.items()
            if p.default is p.empty and k not in found and k != "seed" and k not in GENERATORS
        ]
        if missing:
            problem = f"{self.name} needs {', '.join(missing)}, which mesascope does not know."
            names = f"{COUNTS[0]}, {WIDTHS[0]}, action_space, observation_space, family, seed and rng"
            raise MesascopeError(problem, f"Give it a default, or pass it to from_class; these are known: {names}.")
        return found

    def __call__(self, percept: dict[str, np.ndarray], state: Any, rng: np.random.Generator) -> Any:
        """Acts once in every lifetime, after an update with what followed the last action."""
        observations = self._encode(percept)
        seeds = rng.integers(2**31 - 1, size=len(observations))
        actions, lives = [], np.empty(len(observations), object)
        for i, observation in enumerate(observations):
            with _seed_globals(int(seeds[i])):
                agent, last = (self._make_agent(int(seeds[i])), None) if state is None else state[i]
                _seed_attributes(agent, int(seeds[i]))
                if last is None and np.size(observation) == 0:
                    last = observation  # after a reset, the last outcome is still told if it needs no observation
                if last is not None and not percept["first"][i]:
                    self._update(agent, last, observation, percept=percept, i=i)
                actions.append(self._act(agent, observation, percept, i))
                lives[i] = (agent, observation)
        return np.asarray(actions), lives

    def _encode(self, percept: dict[str, np.ndarray]) -> list[Any]:
        rows = percept["observation"] if self.observe is None else self.observe(percept)
        if self.infers:
            return [self._list_modalities(percept, i) for i in range(len(rows))]
        if self.spec.form == "index":
            return [int(np.argmax(row)) if row.size > 1 else int(row.sum()) for row in rows]
        return (
            [tuple(row.ravel().tolist()) for row in rows] if self.spec.form == "tuple" else [row.copy() for row in rows]
        )

    def _list_modalities(self, percept: dict[str, np.ndarray], i: int) -> list[int]:
        """Lists the observation of an agent that infers: one index per modality."""
        begins, shown = bool(percept["first"][i]), percept["observation"][i].ravel()
        modalities = {
            "observation": int(np.argmax(shown)) if shown.size > 1 else int(shown.sum()),
            "action": 0 if begins else 1 + int(percept["action"][i]),
            "feedback": 0 if begins else 1 + round(float(percept["feedback"][i])),
            "trial": int(percept["trial"][i]),
            "step": int(percept["step"][i]),
            "first": int(begins),
        }
        default = ("observation", "feedback") if shown.size else ("feedback",)
        return [modalities[part] for part in (self.observe.parts if self.observe else default)]

    def _make_agent(self, seed: int) -> Any:
        """Makes the agent of a lifetime that begins."""
        if not inspect.isclass(self.spec.agent):
            agent = copy.deepcopy(self.spec.agent)
            if callable(getattr(agent, "reset", None)) and not _list_parameters(agent.reset):
                agent.reset()
            return agent
        parameters, keywords = _list_parameters(self.spec.agent), dict(self.keywords)
        if "seed" in parameters:
            keywords.setdefault("seed", seed)
        for name in GENERATORS:
            if name in parameters:
                keywords.setdefault(name, np.random.default_rng(seed))
        return self.spec.agent(**keywords)

    def _update(self, agent: Any, last: Any, observation: Any, *, percept: dict[str, np.ndarray], i: int) -> None:
        """Tells the agent what followed its last action."""
        if self.update_name is None:
            return
        action = percept["action"][i]
        values = {
            "observation": last,
            "action": float(action) if self.choices is None else int(action),
            "reward": float(percept["feedback"][i]),
            "next_observation": observation,
            "done": bool(self.steps > 1 and percept["step"][i] == 0),
            "truncated": False,
            "info": {},
            "trial": int(percept["trial"][i]),
        }
        method = getattr(agent, self.update_name)
        if self.update_name == "partial_fit":  # rows of a table, as in scikit-learn
            values |= {"observation": np.atleast_2d(last), "action": [values["action"]], "reward": [values["reward"]]}
        method(**_match_parameters(method, values, f"{self.name}.{self.update_name}"))

    def _act(self, agent: Any, observation: Any, percept: dict[str, np.ndarray], i: int) -> Any:
        """Returns the agent's action, a number."""
        if self.infers:
            agent.infer_states(observation)
            agent.infer_policies()
            return int(np.ravel(agent.sample_action())[-1])
        method = getattr(agent, self.act_name)
        shown = (
            np.atleast_2d(observation)
            if self.act_name == "predict" and self.update_name == "partial_fit"
            else observation
        )
        values = {"observation": shown, "trial": int(percept["trial"][i]), "info": {}}
        answer = method(**_match_parameters(method, values, f"{self.name}.{self.act_name}", ("observation",)))
        answer = answer[0] if isinstance(answer, tuple) else answer  # (action, state), as predict of an SB3 model
        if np.size(answer) != 1:
            problem = f"{self.name}.{self.act_name} returned {answer!r:.100}, which is not one action."
            raise MesascopeError(problem, "Return one number.")
        return np.ravel(answer)[0]


def _list_parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Lists the parameters of a function, method or class by name, without *args and **kwargs."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # classes written in C
        return {}
    return {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def _match_parameters(method: Any, values: dict[str, Any], label: str, order: tuple[str, ...] = ()) -> dict[str, Any]:
    """Finds the value of each parameter of a method, by its name, or by its position if no name is known.

    Raises:
        MesascopeError: the method has a parameter that is not known.
    """
    parameters = _list_parameters(method)
    required = [k for k, p in parameters.items() if p.default is p.empty]
    unknown = [k for k in required if MEANINGS.get(k) not in values]
    if unknown and len(unknown) == len(required):
        meanings = order or ORDERS.get(len(required), ())
        if len(meanings) == len(required):
            return {k: values[m] for k, m in zip(required, meanings, strict=True)}
    if unknown:
        parameter_names = ", ".join(names[0] for meaning, names in NAMES.items() if meaning in values)
        problem = f"{label} takes {', '.join(unknown)}, which mesascope does not know."
        raise MesascopeError(
            problem, f"Name its parameters {parameter_names}, or write a function: see docs/agents.md."
        )
    return {k: values[MEANINGS[k]] for k in parameters if MEANINGS.get(k) in values}


@contextlib.contextmanager
def _seed_globals(seed: int) -> Iterator[None]:
    """Seeds the global generators of NumPy and Python inside this context, and restores them afterwards."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002 - agents draw from it
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def _seed_attributes(agent: Any, seed: int) -> None:
    """Seeds the random generators in the attributes of an agent."""
    for value in getattr(agent, "__dict__", {}).values():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = type(value.bit_generator)(seed).state
        elif isinstance(value, np.random.RandomState | random.Random):
            value.seed(seed)
