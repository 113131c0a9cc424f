"""Functions that a user could hand over, sound and wrong in every way, named as agents_under_test:NAME."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from mesascope.worlds.any.subjects import uniform

EVIL = "<script>alert(1)</script>\x1b[31m[/red]"
ARMS = 3
TALLY = np.zeros(ARMS)


def sound(family):
    """Stays after a win, else takes the next arm; counts its calls in the file that CALLS names."""

    def act(percept, state, rng):
        if "CALLS" in os.environ:
            with Path(os.environ["CALLS"]).open("a") as file:
                file.write(".")
        last = np.maximum(percept["action"], 0)
        return np.where(percept["feedback"] > 0, last, (last + 1) % ARMS), state

    return act


def late(family):
    """Fails in the run proper where FAIL is set, not while it is looked at before: it counts its calls."""
    calls = {"made": 0}

    def act(percept, state, rng):
        calls["made"] += 1
        if "FAIL" in os.environ and calls["made"] > int(os.environ["FAIL"]):
            raise ConnectionError("the server went away")
        return np.zeros(len(percept["action"]), int), None

    return act


def hangs(family):
    """Never answers after HANG_AFTER calls where HANG names a file, which it writes first."""
    calls = {"made": 0}

    def act(percept, state, rng):
        calls["made"] += 1
        if "HANG" in os.environ and calls["made"] > int(os.environ["HANG_AFTER"]):
            Path(os.environ["HANG"]).touch()
            time.sleep(600)
        return np.zeros(len(percept["action"]), int), None

    return act


def evil(family):
    """A subject whose name holds markup and steers the terminal."""
    made = uniform.subject(family)
    object.__setattr__(made, "name", EVIL)
    return made


def returning(answer, state=lambda n: None):
    """A factory of functions that return what `answer` makes of the number of lifetimes."""

    def factory(family):
        return lambda percept, old, rng: (answer(len(percept["action"])), state(len(percept["action"])))

    return factory


def raises(family):
    """Raises when it is called."""

    def act(percept, state, rng):
        raise ZeroDivisionError("no prior")

    return act


def factory_raises(family):
    """Raises when it is made."""
    raise FileNotFoundError("weights.bin")


def factory_returns_number(family):
    """Returns no function."""
    return 7


def no_pair(family):
    """Forgets the state."""
    return lambda percept, state, rng: np.zeros(len(percept["action"]), int)


def takes_too_few(family):
    """Cannot be called with three arguments."""
    return lambda percept: percept


not_callable = 3
nan_action = returning(lambda n: np.full(n, np.nan))
half_action = returning(lambda n: np.full(n, 1.5))
arm_nine = returning(lambda n: np.full(n, 9))
arm_minus = returning(lambda n: np.full(n, -1))
words = returning(lambda n: np.full(n, "left"))
too_short = returning(lambda n: np.zeros(n - 1, int))
scalar = returning(lambda n: 1)
ragged = returning(lambda n: [[1], [1, 2]])
unnormalised = returning(lambda n: np.full((n, ARMS), 0.9))
negative = returning(lambda n: np.tile([1.5, -0.5, 0.0], (n, 1)))
nan_probabilities = returning(lambda n: np.full((n, ARMS), np.nan))
four_arms = returning(lambda n: np.full((n, 4), 0.25))
lone_state = returning(lambda n: np.zeros(n, int), lambda n: np.zeros(3))
number_state = returning(lambda n: np.zeros(n, int), lambda n: {"count": 1})


def learns_closure(family):
    """Keeps an array in its closure and writes to it."""
    weights = np.zeros(ARMS)

    def act(percept, state, rng):
        weights[0] += 1
        return np.zeros(len(percept["action"]), int), None

    return act


def learns_global(family):
    """Writes to an array of its module."""

    def act(percept, state, rng):
        TALLY[0] += 1
        return np.zeros(len(percept["action"]), int), None

    return act


class Agent:
    """Holds its weights in a part of itself, as most agents do."""

    def __init__(self):
        self.net = {"head": [np.zeros(ARMS)]}

    def act(self, percept, state, rng):
        self.net["head"][0] = self.net["head"][0] + 1
        return np.zeros(len(percept["action"]), int), None


def learns_object(family):
    """A function that hands on to an agent which trains."""
    agent = Agent()
    return lambda percept, state, rng: agent.act(percept, state, rng)


def learns_method(family):
    """A bound method of an agent that trains."""
    return Agent().act


def learns_default(family):
    """Keeps an array in a default."""

    def act(percept, state, rng, memory=np.zeros(ARMS)):  # noqa: B008
        memory[1] += 1
        return np.zeros(len(percept["action"]), int), None

    return act


def leaks_blocks(family):
    """Counts wins over all lifetimes that it ever saw, in no array."""
    seen = {"wins": 0.0}

    def act(percept, state, rng):
        seen["wins"] += float(percept["feedback"].sum())
        return np.full(len(percept["action"]), int(seen["wins"]) % ARMS), None

    return act


def takes_neighbours(family):
    """Acts by the feedback of the next lifetime of the batch."""
    return lambda percept, state, rng: (np.roll(percept["feedback"], 1).astype(int), None)


def own_randomness(family):
    """Draws from a generator of its own, so that nothing repeats."""
    rng_of_its_own = np.random.default_rng()
    return lambda percept, state, rng: (rng_of_its_own.integers(0, ARMS, len(percept["action"])), None)


class Raising(uniform.UniformSubject):
    """A whole subject that raises."""

    is_traceable = False

    def respond(self, key, carry, percept):
        raise LookupError("no such layer")


def whole_subject_raises(family):
    """A Subject, not a function."""
    return Raising(name="raising", choices=family.choices)
