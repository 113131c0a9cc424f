"""Reads a model's choice among labels from a server's reply in either of OpenAI's two formats.

Log-probabilities are in `choices[i].logprobs.content[t].top_logprobs` (in chat replies, and in all replies of
llama.cpp) or in `choices[i].logprobs.top_logprobs[t]` (in completions).
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

ANSWERED, BOUNDED, REFUSED, UNPARSABLE, UNREACHED = range(5)
CODE_TEXTS = {
    ANSWERED: "answered",
    BOUNDED: "answered with a label that was not listed",
    REFUSED: "refused",
    UNPARSABLE: "named no label, or several",
    UNREACHED: "did not answer",
}
REFUSAL_PATTERN = re.compile(
    r"\b(i'?m sorry|i am sorry|i apologi[sz]e|i can(?:no|')t|i cannot|i won'?t|i'?m unable|i am unable|i'?m not able"
    r"|as an ai|as a language model|i must decline|i refuse)\b",
    re.IGNORECASE,
)


class Answer(NamedTuple):
    """A model's answer to one question.

    Attributes:
        code: what kind of answer it is: ANSWERED; BOUNDED if a label is not among the listed tokens, so that only an
            upper bound of its probability is known; REFUSED; UNPARSABLE if the text does not name exactly one label; or
            UNREACHED if the model did not answer.
        action: the index of the label that the answer names, or -1 if the answer does not name a label.
        log_probs: the log-probability of each label, normalised over the labels; None if unknown.
        label_mass: the probability of all labels together; NaN if unknown.
        text: the model's text, or the reason why there is no answer.
    """

    code: int
    action: int
    log_probs: tuple[float, ...] | None
    label_mass: float
    text: str


class MalformedReply(Exception):
    """Raised for a reply that does not have OpenAI's format; the exception's text gives the reason."""


def read_choices(reply: Any, count: int) -> list[Mapping[str, Any]]:
    """Reads the choices in a reply, in the order of the questions.

    Raises:
        MalformedReply: there is no list of choices, or their number is wrong.
    """
    entries = reply.get("choices") if isinstance(reply, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(c, Mapping) for c in entries):
        raise MalformedReply("it contains no list of choices")
    if len(entries) != count:
        raise MalformedReply(f"it contains {len(entries)} choices for {count} questions")
    return sorted(entries, key=lambda c: c.get("index") or 0)


def read_text(choice: Mapping[str, Any]) -> str:
    """Reads the text of a choice in a reply.

    Raises:
        MalformedReply: the choice has no text.
    """
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    refusal = message.get("refusal") if isinstance(message, Mapping) else None
    if isinstance(refusal, str) and refusal:
        return refusal
    if not isinstance(text, str):
        raise MalformedReply("a choice contains no text")
    return text


def list_first_tokens(choice: Mapping[str, Any]) -> list[tuple[str, float]] | None:
    """Lists the likeliest first tokens with their log-probabilities; None if the choice contains no such list."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, Mapping):
        return None
    content, top = logprobs.get("content"), logprobs.get("top_logprobs")
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        rows = content[0].get("top_logprobs") or [content[0]]
        pairs = [(r.get("token"), r.get("logprob")) for r in rows if isinstance(r, Mapping)]
    elif isinstance(top, list) and top and isinstance(top[0], Mapping):
        pairs = list(top[0].items())
    else:
        return None
    valid_pairs = [(t, float(p)) for t, p in pairs if isinstance(t, str) and isinstance(p, int | float)]
    return [(t, p) for t, p in valid_pairs if p > -9000] or None  # -9999 stands for 'not listed'


def is_prefix_of_label(token: str, label: str) -> bool:
    """Whether a first token is the beginning of a label and not of a longer word."""
    t, name = token.strip(), label
    if len(name) > 1:
        t, name = t.lower(), name.lower()
    return bool(t) and (name.startswith(t) or (t.startswith(name) and not t[len(name)].isalnum()))


def weigh_labels(tokens: Sequence[tuple[str, float]], labels: Sequence[str], text: str) -> Answer:
    """Computes each label's probability as the sum over the listed first tokens with which the label begins.

    A token with which two labels begin counts for neither. If a label begins with none of the listed tokens, it gets an
    upper bound of its probability: the probability of the least likely listed token.
    """
    label_masses = [0.0] * len(labels)
    for token, log_prob in tokens:
        matches = [i for i, label in enumerate(labels) if is_prefix_of_label(token, label)]
        if len(matches) == 1:
            label_masses[matches[0]] += math.exp(log_prob)
    if not any(label_masses):
        code = REFUSED if REFUSAL_PATTERN.search(text) else UNPARSABLE
        return Answer(code, -1, None, 0.0, text)
    min_probability, total = math.exp(min(p for _, p in tokens)), sum(label_masses)
    bounded_masses = [m or min(min_probability, total) for m in label_masses]
    log_probs = tuple(math.log(m / sum(bounded_masses)) for m in bounded_masses)
    return Answer(
        ANSWERED if all(label_masses) else BOUNDED,
        bounded_masses.index(max(bounded_masses)),
        log_probs,
        min(total, 1.0),
        text,
    )


def parse_answer(text: str, labels: Sequence[str]) -> Answer:
    """Finds the label with which a text begins, or the only label in the text; finds no label in a refusal."""
    if REFUSAL_PATTERN.search(text):
        return Answer(REFUSED, -1, None, math.nan, text)
    for start_pattern in (r"^\W*", r"\b"):
        found = [i for i, label in enumerate(labels) if _find_label(start_pattern, label, text)]
        if len(found) == 1:
            return Answer(ANSWERED, found[0], None, math.nan, text)
    return Answer(UNPARSABLE, -1, None, math.nan, text)


def _find_label(start_pattern: str, label: str, text: str) -> re.Match[str] | None:
    """Finds a label as a whole word after the pattern `start_pattern`; only labels of one letter are case-sensitive."""
    return re.search(rf"{start_pattern}{re.escape(label)}\b", text, re.IGNORECASE if len(label) > 1 else 0)
