"""A language model behind an address that speaks OpenAI's form: OpenAI, vLLM, llama.cpp, Ollama, LM Studio and others.

Where the server gives log-probabilities of first tokens, those of the labels are read; else answers are sampled or
taken as they stand. The weights cannot be seen: the first block's questions are asked again at the end and compared.
"""

import dataclasses

from mesascope.agents.language.language import MODES, LanguageModel, Log, require_words
from mesascope.agents.language.prompts import Prompts
from mesascope.agents.language.requests import Cache, Server, cache_path, plain_address
from mesascope.contracts.family import Family
from mesascope.contracts.settings import check_choice, check_range, name_with_settings
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.secrecy import USUAL


def opens(path: str) -> bool:
    """Whether it is the address of a server."""
    return path.startswith(("http://", "https://"))


def subject(
    family: Family,
    *,
    path: str,
    model: str = "",
    mode: str = "auto",
    chat: bool = False,
    temperature: float = 1.0,
    samples: int = 8,
    top: int = 20,
    words: int = 8,
    key: str = USUAL,
    timeout: float = 60.0,
    retries: int = 4,
    side: int = 4,
    batch: int = 1,
    cache: str = "",
    price_in: float = 0.0,
    price_out: float = 0.0,
    budget: float = 0.0,
) -> LanguageModel:
    """A language model behind an OpenAI-compatible address.

    Args:
        family: one with words.
        path: the base address, as http://127.0.0.1:8080/v1.
        model: its name at the server.
        mode: log_probs, samples, answer, or auto: log_probs where the server gives them, else answer.
        chat: ask in turns of a conversation instead of texts to be completed.
        temperature: at which label probabilities are drawn from; 0 takes the likeliest.
        samples: answers per question in the mode samples.
        top: how many first tokens are listed with their probabilities; OpenAI gives at most 20, or 5
            where texts are completed.
        words: tokens that an answer may have where it is read as text.
        key: the environment variable that contains the key.
        timeout: seconds that an answer may take.
        retries: how often a failed question is asked again.
        side: requests at a time.
        batch: texts per request, for servers that take several.
        cache: the file in which answers are kept; none for memory alone; by default in the user's cache folder.
        price_in: of a million tokens sent.
        price_out: of a million tokens answered.
        budget: what a run may cost; asked for where there is a price.
    """
    check_choice((*MODES, "auto"), mode=mode)
    check_range(0, 100, temperature=temperature, retries=retries)
    check_range(1, 1000, top=top)
    check_range(1, 4096, samples=samples, words=words, side=side, batch=batch)
    check_range(0, 1e12, price_in=price_in, price_out=price_out, budget=budget)
    home = plain_address(path)
    talks = require_words(family)
    gate.permit(path, "The address", "would be asked, with your key, at a place")
    server = Server(path, key, timeout, retries)
    saved = Cache(cache_path(cache, home, model), home)
    asker = Prompts(
        server.ask, saved, model, chat, mode, top=top, samples=samples, words=words, side=side, batch=batch
    )
    out = LanguageModel("", "unknown", talks, asker, Log(), "", temperature, (price_in, price_out), budget)
    if mode in ("auto", "log_probs"):
        found = asker.check(out.example())
        if mode == "log_probs" and found != mode:
            raise MesascopeError(
                f"The model server at {home} gives no log-probabilities.", "Type mode=samples or mode=answer."
            )
        asker.mode = found
    settings = {"samples": samples} if mode == "samples" else {}
    settings = {
        "model": model,
        "mode": asker.mode,
        "chat": chat,
        "temperature": float(temperature),
    } | settings
    name = name_with_settings(subject, path=home, **settings)
    return dataclasses.replace(out, name=name, identity_code=name)
