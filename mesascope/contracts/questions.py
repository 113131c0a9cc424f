"""How a family speaks: what a language model is asked at a trial, given what its percepts told so far.

A family that can be put to language models has a method `question(past, now)`; its percepts' observations index its
texts, so that scripted subjects play it too.
"""

from typing import NamedTuple

import numpy as np


class Moment(NamedTuple):
    """What one percept told of the trial before it.

    Attributes:
        shown: [D] the observation that the percept held.
        action: what was done, -1 where nothing was answered.
        feedback: what it paid, NaN where nothing was answered.
    """

    shown: tuple[float, ...]
    action: int
    feedback: float


class Question(NamedTuple):
    """One question, word for word.

    Attributes:
        intro: what is said first; may be empty.
        past: one text for each trial that the context holds, or a summary of them.
        asked: the line that the answer completes; the answer follows after one space.
        labels: the answers, in the order of the actions; no two begin alike.
        request: what else a model is told that answers in turns instead of completing a text.
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


def row(observation: np.ndarray) -> tuple[float, ...]:
    """An observation [D] as plain numbers."""
    return tuple(float(x) for x in observation)
