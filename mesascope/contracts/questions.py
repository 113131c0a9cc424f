"""Questions in words: what a language model is asked at a trial, given its percepts so far.

A family for language models has a method `question(past, now)`. The observations in its percepts are indices of its
texts, so scripted subjects can also run on such a family.
"""

from typing import NamedTuple

import numpy as np


class PastTrial(NamedTuple):
    """One past trial, as the next percept reports it.

    Attributes:
        shown: [D] the observation in the percept.
        action: the action, or -1 if there was no answer.
        feedback: the action's pay-off, or NaN if there was no answer.
    """

    shown: tuple[float, ...]
    action: int
    feedback: float


class Question(NamedTuple):
    """One question, word for word.

    Attributes:
        intro: the introduction, which may be empty.
        past: one text for each trial in the context, or one summary of all trials.
        asked: the line that the answer completes; the answer follows after one space.
        labels: the possible answers, in the order of the actions; no two begin alike.
        request: an instruction for chat models, which answer in turns instead of completing a text.
    """

    intro: str
    past: tuple[str, ...]
    asked: str
    labels: tuple[str, ...]
    request: str

    @property
    def text(self) -> str:
        """The question as a text to be completed."""
        return self.intro + "".join(self.past) + self.asked

    @property
    def turn(self) -> str:
        """The question as a turn of a conversation."""
        return f"{self.text}\n\n{self.request}"


def to_numbers(observation: np.ndarray) -> tuple[float, ...]:
    """An observation [D] as plain numbers."""
    return tuple(float(x) for x in observation)
