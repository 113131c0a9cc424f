"""Questions in words, which a language model answers on each trial.

A family for language models has a method `write_question(past_trials, observation)`. In such a family, the observations
in percepts are indices of texts, so that scripted subjects can also run on it.
"""

from typing import NamedTuple

import numpy as np


class PastTrial(NamedTuple):
    """One past trial, with what the percept after the trial reports.

    Attributes:
        observation: the observation in that percept, as D numbers.
        action: the action, or -1 if there was no answer.
        feedback: the action's pay-off, or NaN if there was no answer.
    """

    observation: tuple[float, ...]
    action: int
    feedback: float


class Question(NamedTuple):
    """One question, word for word.

    Attributes:
        intro: the introduction, which may be empty.
        past_texts: one text for each past trial, or texts that together summarise all past trials.
        answer_line: the last line, which the answer completes after one space.
        labels: the possible answers, in the order of the actions; each begins with a different character.
        request: an instruction for chat models, which answer in turns instead of completing a text.
    """

    intro: str
    past_texts: tuple[str, ...]
    answer_line: str
    labels: tuple[str, ...]
    request: str

    @property
    def text(self) -> str:
        """The question as a text to be completed."""
        return self.intro + "".join(self.past_texts) + self.answer_line

    @property
    def turn(self) -> str:
        """The question with the request, as a turn of a conversation."""
        return f"{self.text}\n\n{self.request}"


def convert_to_numbers(observation: np.ndarray) -> tuple[float, ...]:
    """Converts an observation, an array [D] of D numbers, to a tuple of Python numbers."""
    return tuple(float(x) for x in observation)
