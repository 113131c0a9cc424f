"""Converts questions to requests to an OpenAI-compatible server, and the server's replies to answers."""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mesascope.agents.language import answers
from mesascope.agents.language.answers import Answer, MalformedReply
from mesascope.agents.language.requests import AnswerCache, RequestFailed
from mesascope.contracts import Question
from mesascope.errors import MesascopeError

SendRequest = Callable[[str, Mapping[str, Any]], Any]


@dataclasses.dataclass(eq=False)
class PromptAsker:
    """Asks questions through a function that sends a request's body to an endpoint such as 'chat/completions'.

    Attributes:
        send: the function send(endpoint, body), which returns the reply or raises `RequestFailed`.
        cache: the saved answers.
        model: the model's name on the server; if it is '', requests contain no name.
        is_chat: whether questions are turns of a conversation instead of texts to complete.
        mode: how the labels' probabilities are found: 'log_probs' (those of the first tokens), 'samples' (the shares of
            several answers) or 'answer' (one answer, without probabilities).
        listed_tokens: the number of first tokens that are listed with their probabilities.
        samples: the number of answers per question in the mode samples.
        max_tokens: the maximum number of tokens in an answer, in the modes 'samples' and 'answer'; the mode 'log_probs'
            asks for one token.
        parallel_requests: the number of parallel requests.
        batch: the number of texts per request, for completions.
        compute_weight_hashes: a function that returns the hashes of the weights; {} if the weights are hidden.
        engine: the running server, if any; this reference prevents Python from deleting the server.
    """

    hidden = None

    send: SendRequest
    cache: AnswerCache
    model: str
    is_chat: bool
    mode: str
    _: dataclasses.KW_ONLY
    listed_tokens: int
    samples: int = 1
    max_tokens: int = 8
    parallel_requests: int = 1
    batch: int = 1
    compute_weight_hashes: Callable[[], dict[str, str]] = dict
    engine: Any = None

    def __post_init__(self) -> None:
        if self.mode != "samples":
            self.samples = 1
        if self.is_chat or self.mode == "samples":
            self.batch = 1

    def hash_weights(self) -> dict[str, str]:
        """Computes the hashes of the weights; empty if the weights are hidden."""
        return self.compute_weight_hashes()

    @property
    def endpoint(self) -> str:
        """The path, below the server's address, to which requests are sent."""
        return "chat/completions" if self.is_chat else "completions"

    def render(self, question: Question) -> str:
        """Returns the text of a question that the server receives."""
        return question.turn if self.is_chat else question.text

    def make_body(self, question: Question, seed: int) -> dict[str, Any]:
        """Makes the body of the request for one question; `seed` is the seed of sampled answers."""
        request: dict[str, Any] = {"model": self.model} if self.model else {}
        if self.is_chat:
            request["messages"] = [{"role": "user", "content": question.turn}]
        else:
            request["prompt"] = question.text
        if self.mode == "log_probs":
            log_prob_options = (
                {"logprobs": True, "top_logprobs": self.listed_tokens}
                if self.is_chat
                else {"logprobs": self.listed_tokens}
            )
            return request | {"max_tokens": 1, "temperature": 0} | log_prob_options
        if self.mode == "samples":
            return request | {"max_tokens": self.max_tokens, "temperature": 1, "n": self.samples, "seed": seed}
        return request | {"max_tokens": self.max_tokens, "temperature": 0}

    def answer_all(
        self, questions: Sequence[Question], seeds: Sequence[int], should_ignore_saved: bool
    ) -> list[Answer]:
        """Returns one answer per question; sends equal questions only once.

        Args:
            questions: the questions to ask, in the order of the answers.
            seeds: for each question, the seed of sampled answers.
            should_ignore_saved: whether to send every question again, and to save no answers.
        """
        bodies = [self.make_body(q, d) for q, d in zip(questions, seeds, strict=True)]
        keys = [self.cache.make_key(self.endpoint, b) for b in bodies]
        pending = {
            k: b for k, b in zip(keys, bodies, strict=True) if should_ignore_saved or k not in self.cache.saved_answers
        }
        replies = collections.ChainMap(self._send_all(pending, should_ignore_saved), self.cache.saved_answers)
        return [self._read_answer(q, replies[k]) for q, k in zip(questions, keys, strict=True)]

    def _send_all(self, requests_by_key: Mapping[str, dict[str, Any]], should_ignore_saved: bool) -> dict[str, Any]:
        """Sends all requests; returns for each key the reply, or the exception if there was no reply."""
        rows = list(requests_by_key.items())
        groups = [rows[i : i + self.batch] for i in range(0, len(rows), self.batch)]

        def ask(group: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
            body = dict(group[0][1])
            if len(group) > 1:
                body["prompt"] = [b["prompt"] for _, b in group]
            try:
                self.cache.n_sent += len(group)
                reply = self.send(self.endpoint, body)
                short_choices = [_shorten_choice(c) for c in answers.read_choices(reply, len(group) * self.samples)]
            except (RequestFailed, MalformedReply) as error:
                return {k: error for k, _ in group}
            replies = {}
            for i, (k, b) in enumerate(group):
                replies[k] = {"choices": short_choices[i * self.samples : (i + 1) * self.samples]}
                if not should_ignore_saved:
                    self.cache.store(self.endpoint, b, replies[k])
            return replies

        if len(groups) < 2 or self.parallel_requests < 2:
            parts = [ask(g) for g in groups]
        else:
            with ThreadPoolExecutor(self.parallel_requests) as pool:
                parts = list(pool.map(ask, groups))
        return {k: v for part in parts for k, v in part.items()}

    def _read_answer(self, question: Question, reply: Any) -> Answer:
        """Reads the answer to a question from a reply."""
        if isinstance(reply, Exception):
            return Answer(answers.UNREACHED, -1, None, math.nan, str(reply))
        try:
            entries = answers.read_choices(reply, self.samples)
            if self.mode == "log_probs":
                tokens = answers.list_first_tokens(entries[0])
                if tokens is None:
                    raise MalformedReply("it contains no log-probabilities")
                return answers.weigh_labels(tokens, question.labels, answers.read_text(entries[0]))
            sampled_answers = [answers.parse_answer(answers.read_text(c), question.labels) for c in entries]
        except MalformedReply as error:
            return Answer(answers.UNREACHED, -1, None, math.nan, f"its answer has another format: {error}")
        first = next((a for a in sampled_answers if a.action >= 0), sampled_answers[0])
        if self.mode == "answer":
            return first
        counts = np.asarray([sum(a.action == i for a in sampled_answers) for i in range(len(question.labels))]) + 0.5
        log_probs = None if first.action < 0 else tuple(np.log(counts / counts.sum()).tolist())
        return first._replace(log_probs=log_probs)

    def detect_mode(self, question: Question) -> str:
        """Asks one question, and returns the mode that the server supports: log_probs or answer.

        Raises:
            MesascopeError: the server gives no usable answer at all.
        """
        body = dataclasses.replace(self, mode="log_probs").make_body(question, 0)
        try:
            choice = answers.read_choices(self.send(self.endpoint, body), 1)[0]
            answers.read_text(choice)
        except (RequestFailed, MalformedReply) as error:
            remedy = "Check the address, the model's name, and whether the server accepts this setting of chat."
            raise MesascopeError(f"The model server gives no usable answer: {error}.", remedy) from None
        return "log_probs" if answers.list_first_tokens(choice) else "answer"


def _shorten_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a choice that is saved: its text and its listed first tokens."""
    short_choice: dict[str, Any] = {"text": answers.read_text(choice)}
    if tokens := answers.list_first_tokens(choice):
        short_choice["logprobs"] = {"top_logprobs": [dict(tokens)]}
    return short_choice
