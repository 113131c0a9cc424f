"""Lets Inspect AI run mesascope's families, one lifetime per sample, and reads Inspect's .eval logs as trials.

A lifetime has the same task and random draws as the lifetime with the same number, split and seed in a rollout.
"""

import zipfile
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.agents.language.answers import UNREACHED, Answer, parse_answer
from mesascope.contracts import Family, PastTrial, Question, convert_to_numbers
from mesascope.errors import MesascopeError
from mesascope.guards import limits
from mesascope.keys import derive_key_from_seed
from mesascope.rollouts.blocks import BLOCK_SIZE, Record
from mesascope.rollouts.rollouts import draw_tasks, make_attributes
from mesascope.trials import join_records

STORE_KEY = "mesascope"  # the key under which the store of a sample contains the lifetime


class Lifetime:
    """One lifetime of a family, which the caller runs trial by trial.

    Args:
        family: the family with its settings, as a user types it.
        split: the split from which the task is drawn.
        seed: the seed of the task and of all draws, as in a rollout.
        number: the number of the lifetime in its rollout, counted from 0.
    """

    def __init__(self, family: str, split: str, seed: int, number: int):
        self.family: Any = catalogue.make("families", family)
        self.address, self.row, self.seed = (number // BLOCK_SIZE,), number % BLOCK_SIZE, seed
        self.tasks = draw_tasks(self.family, split, self.address, seed)
        self.state, self.percept = self.family.begin(self._make_key("begin"), self.tasks)
        self.past: tuple[PastTrial, ...] = ()
        self.trials: list[dict[str, Any]] = []
        self.length = self.family.get_split(split).trial_count

    def _make_key(self, *name: str | int) -> jax.Array:
        return derive_key_from_seed(self.seed, "lives", *self.address, *name)

    def _read_observation(self) -> tuple[float, ...]:
        return convert_to_numbers(np.asarray(self.percept.observation)[self.row])

    def ask(self) -> Question:
        """Writes the question for the next trial."""
        return self.family.write_question(self.past, self._read_observation())

    def answer(self, text: str) -> Answer:
        """Parses an answer in words, takes the action that it names, and begins the next trial."""
        answer = parse_answer(text, self.ask().labels)
        action = np.zeros(BLOCK_SIZE, np.int32)
        action[self.row] = answer.action
        observation = self._read_observation()
        key = self._make_key("pay", len(self.trials))
        self.state, self.percept, score = self.family.step(key, self.tasks, self.state, jnp.asarray(action))
        feedback = float(np.asarray(self.percept.feedback)[self.row])
        self.past = (*self.past, PastTrial(self._read_observation(), answer.action, feedback))
        record = {"observation": observation, "action": answer.action, "code": answer.code, "said": text}
        outcome = {"feedback": feedback, "score": float(np.asarray(score)[self.row])}
        self.trials.append(record | {k: None if np.isnan(v) else v for k, v in outcome.items()})
        return answer


def read_eval(path: str) -> xr.Dataset:
    """Reads the trials from Inspect's .eval log of one of mesascope's tasks, in the form that `rollout` returns.

    Raises:
        MesascopeError: inspect-ai is not installed, the file is not an .eval log, or the log does not come from one of
            mesascope's tasks.
    """
    try:
        from inspect_ai.log import read_eval_log
    except ImportError:
        problem = "Reading an .eval log needs inspect-ai."
        raise MesascopeError(problem, "Install it with: pip install 'mesascope[inspect]'") from None
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                limits.list_zip_members(archive, limits.get_file_size(path))
        log = read_eval_log(str(path))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise MesascopeError(f"{path!r} is not an .eval log: {error}.", "Name a log that Inspect wrote.") from None
    saved_lifetimes = [sample.store[STORE_KEY] for sample in log.samples or [] if STORE_KEY in sample.store]
    if not saved_lifetimes:
        problem = f"{path!r} contains no lifetimes of mesascope's tasks."
        raise MesascopeError(problem, "Run: inspect eval mesascope/word_labels --model …")
    records = [limits.parse_json(record) if isinstance(record, str) else record for record in saved_lifetimes]
    records.sort(key=lambda record: record["number"])
    return _join_lifetimes(records, str(log.eval.model))


def _join_lifetimes(records: Sequence[dict[str, Any]], model: str) -> xr.Dataset:
    """Joins the records of lifetimes into trials; in an unfinished lifetime, the last trials are missing."""
    first = records[0]
    family: Family = catalogue.make("families", first["family"])
    split, seed, numbers = first["split"], int(first["seed"]), [int(record["number"]) for record in records]
    length = family.get_split(split).trial_count

    def collect_field(name: str, missing_value: Any, kind: Any) -> np.ndarray:
        trials = np.full((length, len(records), *np.shape(missing_value)), missing_value, kind)
        for i, record in enumerate(records):
            for t, trial in enumerate(record["trials"]):
                trials[t, i] = missing_value if trial[name] is None else trial[name]
        return trials

    feedback, score = (collect_field(name, np.nan, np.float32) for name in ("feedback", "score"))
    observation = collect_field("observation", np.full(family.observation_shape, np.nan), np.float32)
    partner = np.zeros((length, len(records)), np.int32)
    taps = {"answered": collect_field("code", UNREACHED, np.int8)[..., None]}
    record = Record(collect_field("action", -1, np.int32), feedback, score, partner, None, observation, taps)
    tables = {
        b: family.compute_latents(draw_tasks(family, split, (b,), seed), split)
        for b in {n // BLOCK_SIZE for n in numbers}
    }
    names = tables[numbers[0] // BLOCK_SIZE]
    latents = {name: np.stack([tables[n // BLOCK_SIZE][name][n % BLOCK_SIZE] for n in numbers]) for name in names}
    attrs = make_attributes(family, split, f"inspect:{model}", "unknown", {}, seed=seed)
    attrs["elicited"] = "answer"
    trials = join_records([[record]], latents, ["intact"], [False], len(records), attrs=attrs)
    answered = trials.tap_answered.values[..., 0]
    return trials.drop_vars("tap_answered").assign(answered=(("condition", "lifetime", "trial"), answered))
