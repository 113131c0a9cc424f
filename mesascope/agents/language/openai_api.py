"""A language model on an OpenAI-compatible server: OpenAI, vLLM, llama.cpp, Ollama, LM Studio and others.

If the server reports log-probabilities of first tokens, the subject computes the labels' probabilities from them.
Otherwise the subject requests several answers or a single answer. Because the weights are hidden, the subject sends the
first questions again at the end and compares the answers.
"""

import dataclasses
from typing import Any

from mesascope.agents.language.language import ANSWER_MODES, LanguageModel, QuestionLog, require_questions
from mesascope.agents.language.prompts import PromptAsker
from mesascope.agents.language.requests import AnswerCache, Server, find_answers_file, strip_address
from mesascope.contracts import Family, check_choice, check_range, make_configured_name
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.secrecy import DEFAULT_KEY_VARIABLE


def can_open(path: str) -> bool:
    """Whether a text is the address of a server."""
    return path.startswith(("http://", "https://"))


def subject(
    family: Family,
    *,
    path: str,
    model: str = "",
    mode: str = "auto",
    is_chat: bool = False,
    temperature: float = 1.0,
    samples: int = 8,
    listed_tokens: int = 20,
    max_tokens: int = 8,
    key: str = DEFAULT_KEY_VARIABLE,
    timeout: float = 60.0,
    retries: int = 4,
    parallel_requests: int = 4,
    batch: int = 1,
    cache: str = "",
    price_in: float = 0.0,
    price_out: float = 0.0,
    budget: float = 0.0,
) -> LanguageModel:
    """A language model on an OpenAI-compatible server.

    Args:
        family: a family with questions in words.
        path: the server's base address, such as http://127.0.0.1:8080/v1.
        model: the model's name on the server.
        mode: how the labels' probabilities are found: log_probs (those of the first tokens), samples (the shares of
            several answers) or answer (one answer, without probabilities); auto means log_probs if the server reports
            them, and otherwise answer.
        is_chat: whether questions are turns of a conversation instead of texts to complete.
        temperature: the temperature at which labels are drawn from their probabilities; 0 takes the likeliest label.
        samples: the number of answers per question in the mode samples.
        listed_tokens: the number of first tokens that are listed with their probabilities; OpenAI lists at most 20, or
            at most 5 if it completes texts.
        max_tokens: the maximum number of tokens in an answer, in the modes 'samples' and 'answer'; the mode 'log_probs'
            asks for one token.
        key: the name of the environment variable that contains the server's API key.
        timeout: the maximum number of seconds for one answer.
        retries: the maximum number of times that a failed question is sent again.
        parallel_requests: the number of parallel requests.
        batch: the number of texts per request, for servers that accept several.
        cache: the file for saved answers; none to store them in memory only; '' for a file in the user's cache folder.
        price_in: the price of a million tokens sent, in any currency; 0 if it is not known.
        price_out: the price of a million tokens received, in the same currency; 0 if it is not known.
        budget: the maximum cost of a run, in the currency of the prices; required if a price is given.
    """
    check_choice((*ANSWER_MODES, "auto"), mode=mode)
    check_range(0, 100, temperature=temperature, retries=retries)
    check_range(1, 1000, listed_tokens=listed_tokens)
    check_range(1, 4096, samples=samples, max_tokens=max_tokens, parallel_requests=parallel_requests, batch=batch)
    check_range(0, 1e12, price_in=price_in, price_out=price_out, budget=budget)
    base_url = strip_address(path)
    words_family = require_questions(family)
    gate.require_allowed(path, "The address", "would receive your key at an address")
    server = Server(path, key, timeout, retries)
    saved_answers = AnswerCache(find_answers_file(cache, base_url, model), base_url)
    options: dict[str, Any] = {
        "listed_tokens": listed_tokens,
        "samples": samples,
        "max_tokens": max_tokens,
        "parallel_requests": parallel_requests,
        "batch": batch,
    }
    asker = PromptAsker(server.ask, saved_answers, model, is_chat, mode, **options)
    log, prices = QuestionLog(), (price_in, price_out)
    language_model = LanguageModel("", "unknown", words_family, asker, log, "", temperature, prices, budget)
    if mode in ("auto", "log_probs"):
        server_mode = asker.detect_mode(language_model.make_example_question())
        if mode == "log_probs" and server_mode != mode:
            problem = f"The model server at {base_url} reports no log-probabilities."
            raise MesascopeError(problem, "Type mode=samples or mode=answer.")
        asker.mode = server_mode
    settings = {"samples": samples} if mode == "samples" else {}
    settings = {"model": model, "mode": asker.mode, "is_chat": is_chat, "temperature": float(temperature)} | settings
    name = make_configured_name(subject, path=base_url, **settings)
    return dataclasses.replace(language_model, name=name, identity_code=name)
