"""Our families as Inspect AI lives them, one lifetime per sample, and its .eval logs read back as trials.

A lifetime here is the one of the same number, split and seed in our own rollouts: same task, same draws.
"""

import zipfile
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.agents.language.answers import Answer, parse_label
from mesascope.contracts.family import Family
from mesascope.contracts.questions import Moment, Question, row
from mesascope.errors import MesascopeError
from mesascope.guards import limits
from mesascope.keys import fold_address
from mesascope.rollouts.lives import BLOCK, Record
from mesascope.rollouts.rollouts import attributes, draw_tasks
from mesascope.trials import assemble

KEPT = "mesascope"  # the key of a sample's store under which its trials stand


class Lifetime:
    """One lifetime of a family, asked and told from outside.

    Args:
        family: the family with its settings, as one would type it.
        split: one of its splits.
        seed: of tasks and draws, as in a rollout.
        number: which lifetime, from 0.
    """

    def __init__(self, family: str, split: str, seed: int, number: int):
        self.family: Any = catalogue.make("families", family)
        self.place, self.row, self.seed = (number // BLOCK,), number % BLOCK, seed
        self.tasks = draw_tasks(self.family, split, self.place, seed)
        self.state, self.percept = self.family.begin(self._key("begin"), self.tasks)
        self.past: tuple[Moment, ...] = ()
        self.trials: list[dict[str, Any]] = []
        self.length = self.family.split(split).trials

    def _key(self, *name: str | int) -> jax.Array:
        return fold_address(self.seed, "lives", *self.place, *name)

    def ask(self) -> Question:
        """The question of the coming trial."""
        return self.family.question(self.past, row(np.asarray(self.percept.observation)[self.row]))

    def tell(self, said: str) -> Answer:
        """Takes an answer in words, and goes on to the next trial."""
        answer = parse_label(said, self.ask().labels)
        action = np.zeros(BLOCK, np.int32)
        action[self.row] = answer.action
        shown = row(np.asarray(self.percept.observation)[self.row])
        key = self._key("pay", len(self.trials))
        self.state, self.percept, score = self.family.step(key, self.tasks, self.state, jnp.asarray(action))
        feedback = float(np.asarray(self.percept.feedback)[self.row])
        after = row(np.asarray(self.percept.observation)[self.row])
        self.past = (*self.past, Moment(after, answer.action, feedback))
        told = {"observation": shown, "action": answer.action, "code": answer.code, "said": said}
        paid = {"feedback": feedback, "score": float(np.asarray(score)[self.row])}
        self.trials.append(told | {k: None if np.isnan(v) else v for k, v in paid.items()})
        return answer


def read_eval(path: str) -> xr.Dataset:
    """The trials in an .eval log of one of our tasks, as a rollout would give them.

    Raises:
        MesascopeError: inspect-ai is missing, or the log is not of one of our tasks.
    """
    try:
        from inspect_ai.log import read_eval_log
    except ImportError:
        raise MesascopeError(
            "Reading an .eval log needs inspect-ai.", "Install it with: pip install 'mesascope[inspect]'"
        ) from None
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as held:
                limits.zip_members(held, limits.file_size(path))
        log = read_eval_log(str(path))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise MesascopeError(
            f"{path!r} is no .eval log: {error}.", "Name a log that inspect wrote."
        ) from None
    kept = [s.store[KEPT] for s in log.samples or [] if KEPT in s.store]
    if not kept:
        raise MesascopeError(
            f"{path!r} holds no lifetimes of ours.", "Run: inspect eval mesascope/word_labels --model …"
        )
    known = [limits.parse_json(k) if isinstance(k, str) else k for k in kept]
    known.sort(key=lambda k: k["number"])
    return _assembled(known, str(log.eval.model))


def _assembled(known: Sequence[dict[str, Any]], model: str) -> xr.Dataset:
    """Trials from lifetimes in the order of their numbers; those that were not finished are missing to their end."""
    first = known[0]
    family: Family = catalogue.make("families", first["family"])
    split, seed, numbers = first["split"], int(first["seed"]), [int(k["number"]) for k in known]
    length = family.split(split).trials

    def field(name: str, absent: Any, kind: Any) -> np.ndarray:
        out = np.full((length, len(known), *np.shape(absent)), absent, kind)
        for i, life in enumerate(known):
            for t, trial in enumerate(life["trials"]):
                out[t, i] = absent if trial[name] is None else trial[name]
        return out

    shown = np.full(family.shown, np.nan)
    record = Record(
        field("action", -1, np.int32),
        field("feedback", np.nan, np.float32),
        field("score", np.nan, np.float32),
        np.zeros((length, len(known)), np.int32),
        None,
        field("observation", shown, np.float32),
        {"answered": field("code", 4, np.int8)[..., None]},
    )
    blocks = {n // BLOCK for n in numbers}
    tables = {b: family.latents(draw_tasks(family, split, (b,), seed), split) for b in blocks}
    of = {n: {k: v[n % BLOCK] for k, v in tables[n // BLOCK].items()} for n in numbers}
    latents = {k: np.stack([of[n][k] for n in numbers]) for k in of[numbers[0]]}
    attrs = attributes(family, split, f"inspect:{model}", "unknown", {}, seed=seed)
    attrs["elicited"] = "answer"
    out = assemble([[record]], latents, ["intact"], [False], len(known), attrs=attrs)
    answered = out.tap_answered.values[..., 0]
    return out.drop_vars("tap_answered").assign(answered=(("condition", "lifetime", "trial"), answered))
