"""Defines tasks for Inspect AI.

Example: inspect eval mesascope/word_labels --model openai-api/local/NAME -T labels=gold

One sample is one lifetime. Every trial sends the whole context again. Only Inspect imports this file.
"""

from typing import Any

import numpy as np
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model
from inspect_ai.scorer import Score, mean, scorer, stderr
from inspect_ai.solver import solver

from mesascope.rollouts.inspected import STORE_KEY, Lifetime


@solver
def play_lifetime(family: str, split: str, seed: int):
    """Makes a solver for Inspect that runs one lifetime, trial by trial.

    Args:
        family: the family with its settings, as a user types it.
        split: the split from which the task is drawn.
        seed: the seed of the task and of all draws.
    """

    async def solve(state: Any, generate: Any) -> Any:
        number = int(state.metadata["number"])
        lifetime = Lifetime(family, split, seed, number)
        for _ in range(lifetime.length):
            message = ChatMessageUser(content=lifetime.ask().turn)
            output = await get_model().generate([message], config=GenerateConfig(temperature=0, max_tokens=8))
            lifetime.answer(output.completion)
            state.messages += [message, output.message]
            state.output = output
        record = {"family": family, "split": split, "seed": seed, "number": number, "trials": lifetime.trials}
        state.store.set(STORE_KEY, record)
        return state

    return solve


@scorer(metrics=[mean(), stderr()])
def compute_mean_score():
    """Makes a scorer that computes the mean score of a lifetime's answered trials, or 0 if none was answered."""

    async def score(state: Any, target: Any) -> Score:
        scores = [trial["score"] for trial in state.store.get(STORE_KEY)["trials"] if trial["score"] is not None]
        return Score(value=float(np.mean(scores)) if scores else 0.0, answer=state.output.completion)

    return score


def make_task(family: str, split: str, lifetimes: int, seed: int) -> Task:
    """Makes an Inspect task in which every sample is one lifetime of a family on one split.

    Args:
        family: the family with its settings, as a user types it.
        split: the split from which tasks are drawn.
        lifetimes: the number of lifetimes, which is the number of samples.
        seed: the seed of the tasks and of all draws.
    """
    questions = [Lifetime(family, split, seed, i).ask().turn for i in range(lifetimes)]
    samples = [Sample(id=i + 1, input=turn, metadata={"number": i}) for i, turn in enumerate(questions)]
    return Task(dataset=samples, solver=play_lifetime(family, split, seed), scorer=compute_mean_score())


@task
def word_labels(
    labels: str = "abstract",
    trials: int = 17,
    wording: int = -1,
    split: str = "fresh",
    lifetimes: int = 64,
    *,
    seed: int = 0,
) -> Task:
    """The model gives each word one of two labels; the correct label is shown after every answer."""
    return make_task(f"word_labels:labels={labels},trials={trials},wording={wording}", split, lifetimes, seed)


@task
def text_bandit(
    arms: int = 2,
    trials: int = 25,
    history: str = "raw",
    wording: int = -1,
    split: str = "fresh",
    *,
    lifetimes: int = 64,
    seed: int = 0,
) -> Task:
    """The model plays a Bernoulli bandit that is described in words."""
    family = f"text_bandit:arms={arms},trials={trials},history={history},wording={wording}"
    return make_task(family, split, lifetimes, seed)
