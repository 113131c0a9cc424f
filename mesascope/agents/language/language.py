"""A language model as a subject; its carry is its context, which is the list of past trials.

A reset of the carry empties the context, and a swap replaces the context with another lifetime's context. Shuffled
feedback shuffles the outcomes in the context. The family's `write_question` writes the questions. An asker,
`PromptAsker` or `ForwardAsker`, sends the questions to the model.
"""

import json
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.agents.language.answers import CODE_TEXTS, UNREACHED, Answer
from mesascope.contracts import Family, NamedSubject, PastTrial, Percept, Question, Response, choose, convert_to_numbers
from mesascope.contracts.capabilities import AsksQuestions
from mesascope.errors import MesascopeError

ANSWER_MODES = ("log_probs", "samples", "answer")
N_REPEATED_QUESTIONS = 64  # the number of questions of the first block that are asked again at the end
MAX_UNANSWERED = 256  # a run ends after this many consecutive questions without an answer


class ContextCarry(NamedTuple):
    """The carry of N lifetimes; only `past_trials` affects the questions.

    Attributes:
        past_trials: [N] the past trials of each lifetime, as a tuple of `PastTrial`.
        question_index: [N, 1] the index of the last question in the log.
        answer_code: [N, 1] the code of the last answer (see `Answer`).
        label_mass: [N, 1] the probability of all labels together at the last question.
        hidden: [N, U] the activations at the last question; U is 0 if there are none.
    """

    past_trials: np.ndarray
    question_index: np.ndarray
    answer_code: np.ndarray
    label_mass: np.ndarray
    hidden: np.ndarray


class QuestionLog:
    """The questions to one subject and the answers, in order.

    The first questions are kept in `first_rows`, and asked again at the end to measure the drift of the answers.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Question, Answer]] = []
        self.first_rows: list[tuple[Question, int, Answer]] = []
        self.n_unanswered = 0  # the number of consecutive questions without an answer
        self.n_activations = 0  # U, the number of activations per lifetime


class LanguageModel(NamedSubject):
    """A language model that answers one question per trial.

    Attributes:
        family: the family that writes the questions.
        asker: `prompts.PromptAsker` or `transformers.ForwardAsker`, which sends the questions to the model.
        log: the questions and answers since the last finished rollout.
        identity_code: a text that identifies the model, so that saved rollouts of other models are not reused.
        temperature: the temperature at which labels are drawn from their probabilities; 0 takes the likeliest label.
        prices: the price of a million tokens sent, and the price of a million tokens received.
        budget: the maximum cost of a run, in the unit of `prices`.
    """

    family: Any
    asker: Any = eqx.field(static=True)
    log: QuestionLog = eqx.field(static=True)
    identity_code: str = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    prices: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    budget: float = eqx.field(static=True, default=0.0)

    is_traceable: ClassVar = False
    recorded_taps: ClassVar = ("asked", "answered", "mass")
    has_separate_rows: ClassVar = True
    is_asked_in_turn: ClassVar = True

    def initialize_carry(self, n: int) -> ContextCarry:
        """Makes an empty context for each lifetime."""
        past = np.empty(n, object)
        past[:] = [()] * n
        zeros = np.zeros((n, 1))
        hidden = np.zeros((n, self.log.n_activations), np.float32)
        return ContextCarry(past, zeros.astype(np.int32), zeros.astype(np.int8), zeros.astype(np.float32), hidden)

    def update_carry(self, key, carry: ContextCarry, percept: Percept) -> ContextCarry:
        """Adds the last trial to the context without asking a question."""
        observation, action, feedback, _, _, first = map(np.asarray, percept)
        past = np.empty(len(action), object)
        for i, before in enumerate(carry.past_trials):
            moment = PastTrial(convert_to_numbers(observation[i]), int(action[i]), float(feedback[i]))
            past[i] = before if first[i] else (*before, moment)
        return carry._replace(past_trials=past)

    def respond(self, key, carry: ContextCarry, percept: Percept):
        """Asks one question per lifetime, and returns the answers as actions."""
        carry, observation = self.update_carry(key, carry, percept), np.asarray(percept.observation)
        questions = [
            self.family.write_question(past, convert_to_numbers(obs))
            for past, obs in zip(carry.past_trials, observation, strict=True)
        ]
        seeds = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32).tolist())
        draws = seeds.integers(0, 2**31 - 1, len(questions)).tolist()
        answers = self.asker.answer_all(questions, draws, False)
        self._log_answers(questions, draws, answers)
        start = len(self.log.rows) - len(answers)
        indices = (start + np.arange(len(answers), dtype=np.int32))[:, None]
        codes = np.asarray([[a.code] for a in answers], np.int8)
        masses = np.asarray([[a.label_mass] for a in answers], np.float32)
        hidden = carry.hidden if self.asker.hidden is None else self.asker.hidden
        carry = ContextCarry(carry.past_trials, indices, codes, masses, hidden)
        return carry, self._make_response(key, answers, len(questions[0].labels))

    def _make_response(self, key, answers: list[Answer], choices: int) -> Response:
        action = np.asarray([a.action for a in answers], np.int32)
        if self.asker.mode == "answer":
            return Response(action, None)
        uniform_log_probs = (-float(np.log(choices)),) * choices
        log_probs = np.asarray([uniform_log_probs if a.log_probs is None else a.log_probs for a in answers], np.float32)
        if self.asker.mode == "log_probs" and self.temperature > 0:
            scaled = log_probs / self.temperature
            scaled -= np.log(np.exp(scaled).sum(-1, keepdims=True))
            sampled = np.asarray(choose(key, jnp.asarray(scaled)).action)
            action, log_probs = np.where(action < 0, -1, sampled).astype(np.int32), scaled
        return Response(action, log_probs)

    def _log_answers(self, questions: list[Question], draws: list[int], answers: list[Answer]) -> None:
        """Logs questions and answers; raises `MesascopeError` if MAX_UNANSWERED questions in a row have no answer."""
        log = self.log
        log.rows += list(zip(questions, answers, strict=True))
        if len(log.first_rows) < N_REPEATED_QUESTIONS:
            log.first_rows += list(zip(questions, draws, answers, strict=True))[:4]
        for a in answers:
            log.n_unanswered = log.n_unanswered + 1 if a.code == UNREACHED else 0
        if log.n_unanswered >= MAX_UNANSWERED:
            problem = f"{log.n_unanswered} consecutive questions to {self.name} got no answer: {answers[-1].text}."
            remedy = "Run the same command again later. Answers are saved, so no question is asked twice."
            raise MesascopeError(problem, remedy)

    def read_taps(self, carry: ContextCarry) -> dict[str, Any]:
        """Returns the question's index, the answer's code, the labels' total probability, and any activations."""
        activations = {"asked": carry.question_index, "answered": carry.answer_code, "mass": carry.label_mass}
        return activations | ({"hidden": carry.hidden} if carry.hidden.shape[1] else {})

    def annotate(self, trials: xr.Dataset) -> xr.Dataset:
        """Adds the variables `answered`, `mass` and `transcript` to trials.

        They are the code of each answer, the probability of all labels together, and, for each condition, a transcript
        of the first lifetime.
        """
        axes = ("condition", "lifetime", "trial")
        indices = trials.tap_asked.values[..., 0]
        transcripts = [self._write_transcript([self.log.rows[i] for i in numbers]) for numbers in indices[:, 0]]
        variables: dict[str, Any] = {
            name: (axes, trials[f"tap_{name}"].values[..., 0]) for name in ("answered", "mass")
        }
        variables["transcript"] = (("condition",), np.asarray(transcripts, np.str_))
        result = trials.drop_vars(["tap_asked", "tap_answered", "tap_mass"]).assign(variables)
        self.log.rows.clear()
        return result.assign_attrs(elicited=self.asker.mode)

    def _write_transcript(self, answered_questions: list[tuple[Question, Answer]]) -> str:
        """Writes the last question of a lifetime word for word, and all answers in the lifetime, as JSON."""
        answers = []
        for question, answer in answered_questions:
            probabilities = answer.log_probs and [round(float(np.exp(p)), 4) for p in answer.log_probs]
            entry = {"asked": question.answer_line, "said": answer.text, "how": CODE_TEXTS[answer.code]}
            answers.append({**entry, "probabilities": probabilities})
        last = answered_questions[-1][0]
        return json.dumps({"sent": self.asker.render(last), "labels": last.labels, "answers": answers})

    def hash_weights(self) -> dict[str, str]:
        """Computes the hashes of the weights; empty if the model runs on a server, which hides its weights."""
        return self.asker.hash_weights()

    def compute_code_hash(self) -> str:
        """Returns the text that identifies the model."""
        return self.identity_code

    def describe_cost(self, responses: int) -> str:
        """Describes the maximum number of questions in a run, and their cost.

        Args:
            responses: the number of the subject's responses, summed over all conditions and splits.

        Raises:
            MesascopeError: the questions cost more than the budget.
        """
        length = len(self.asker.render(self.make_example_question())) / 4
        tokens_in = responses * length
        tokens_out = responses * (1 if self.asker.mode == "log_probs" else 8) * self.asker.samples
        summary = (
            f"{self.name}: at most {responses:,} questions of about {length:.0f} tokens, "
            f"{tokens_in / 1e6:.2f} million tokens in and {tokens_out / 1e6:.2f} million out"
        )
        cost = (tokens_in * self.prices[0] + tokens_out * self.prices[1]) / 1e6
        if not any(self.prices):
            return f"{summary}; no price was given."
        if cost > self.budget:
            remedy = f"Give budget={np.ceil(100 * cost) / 100:g} or more, or reduce the lifetimes, splits or metrics."
            raise MesascopeError(f"{summary}, about {cost:.2f} at the prices given.", remedy)
        return f"{summary}, about {cost:.2f} of a budget of {self.budget:g}."

    def make_example_question(self) -> Question:
        """Makes a question from the middle of a lifetime, to estimate the length of questions."""
        tasks = self.family.draw(jax.random.key(0), 1)
        state, percept = self.family.begin(jax.random.key(0), tasks)
        past = []
        for _ in range(self.family.horizon // 2):
            state, percept, _ = self.family.step(jax.random.key(0), tasks, state, jnp.zeros(1, jnp.int32))
            past.append(
                PastTrial(convert_to_numbers(np.asarray(percept.observation)[0]), 0, float(percept.feedback[0]))
            )
        return self.family.write_question(past, convert_to_numbers(np.asarray(percept.observation)[0]))

    def measure_drift(self, threshold: float = 0.25) -> tuple[float, str]:
        """Asks the first questions again, and compares the new answers with the old ones.

        Args:
            threshold: the largest mean change of a label's probability (or share of changed answers) for which the
                model counts as unchanged.

        Returns:
            Two results. First, the largest change of a label's log-probability, or the share of changed answers if
            there are no log-probabilities. Second, the evidence that the model has changed, in words; '' if there is
            none.
        """
        if not self.log.first_rows:
            return 0.0, ""
        questions, draws, before = (list(x) for x in zip(*self.log.first_rows, strict=True))
        new_answers = self.asker.answer_all(questions, draws, True)
        pairs = [(a, b) for a, b in zip(before, new_answers, strict=True) if UNREACHED not in (a.code, b.code)]
        if not pairs:
            return 0.0, ""
        log_prob_pairs = [(a.log_probs, b.log_probs) for a, b in pairs if a.log_probs and b.log_probs]
        if log_prob_pairs:
            first, second = (np.asarray(x) for x in zip(*log_prob_pairs, strict=True))
            largest, mean = np.abs(first - second).max(), np.abs(np.exp(first) - np.exp(second)).mean()
        else:
            largest = mean = np.mean([a.action != b.action for a, b in pairs])
        reason = f"its answers to the first {len(pairs)} questions changed by {mean:.2f} on average"
        return float(largest), reason if mean > threshold else ""


def require_questions(family: Family) -> Any:
    """Returns the family if it has questions for language models.

    Raises:
        MesascopeError: the family has no such questions.
    """
    if not isinstance(family, AsksQuestions):
        remedy = "Take --family word_labels or text_bandit, or give your family a method "
        remedy += "write_question(past_trials, observation)."
        problem = f"{family.name} has no questions in words, so a language model cannot run on it."
        raise MesascopeError(problem, remedy)
    return family
