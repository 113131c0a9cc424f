"""A language model behind an address that speaks OpenAI's form: OpenAI, vLLM, llama.cpp, Ollama, LM Studio and others.

Where the server gives log-probabilities of first tokens, those of the labels are read; else answers are sampled or
taken as they stand. The weights cannot be seen: the first block's questions are asked again at the end and compared.
"""

from __future__ import annotations

from mesascope import gate
from mesascope.errors import MesascopeError
from mesascope.families import Family
from mesascope.secrecy import USUAL
from mesascope.subjects._language import MODES, LanguageModel, Log, spoken
from mesascope.subjects._prompts import Prompts
from mesascope.subjects._requests import Kept, Server, kept_at, plain_address
from mesascope.subjects._settings import named, one_of, within


def opens(path: str) -> bool:
    """Whether it is the address of a server."""
    return path.startswith(("http://", "https://"))


def subject(
    family: Family,
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
        key: the environment variable that holds the key.
        timeout: seconds that an answer may take.
        retries: how often a failed question is asked again.
        side: requests at a time.
        batch: texts per request, for servers that take several.
        cache: the file in which answers are kept; none for memory alone; by default in the user's cache folder.
        price_in: of a million tokens sent.
        price_out: of a million tokens answered.
        budget: what a run may cost; asked for where there is a price.
    """
    one_of((*MODES, "auto"), mode=mode)
    within(0, 100, temperature=temperature, retries=retries)
    within(1, 1000, top=top)
    within(1, 4096, samples=samples, words=words, side=side, batch=batch)
    within(0, 1e12, price_in=price_in, price_out=price_out, budget=budget)
    home = plain_address(path)
    talks = spoken(family)
    gate.permit(path, "The address", "would be asked, with your key, at a place")
    server = Server(path, key, timeout, retries)
    kept = Kept(kept_at(cache, home, model), home)
    asker = Prompts(server.ask, kept, model, chat, mode, top, samples, words, side, batch)
    log = Log()
    out = LanguageModel("", "unknown", talks, asker, log, "", temperature, (price_in, price_out), budget)
    if mode in ("auto", "log_probs"):
        found = asker.check(out.example())
        if mode == "log_probs" and found != mode:
            raise MesascopeError(
                f"The model server at {home} gives no log-probabilities.", "Type mode=samples or mode=answer."
            )
        asker.mode = found
    told = {"chat": chat, "temperature": float(temperature)} | (
        {"samples": samples} if mode == "samples" else {}
    )
    name = named(subject, path=home, model=model, mode=asker.mode, **told)
    return LanguageModel(name, "unknown", talks, asker, log, name, temperature, (price_in, price_out), budget)
