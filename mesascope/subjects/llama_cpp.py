"""A language model in a local GGUF file, run in this process by llama.cpp (xllamacpp), or served on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesascope import gate, limits
from mesascope.errors import MesascopeError
from mesascope.families import Family
from mesascope.subjects._language import LanguageModel, Log, spoken
from mesascope.subjects._prompts import Prompts
from mesascope.subjects._requests import TOO_LONG, Failed, Kept
from mesascope.subjects._settings import named, within
from mesascope.subjects.openai_api import subject as served_model


def opens(path: str) -> bool:
    """Whether it is a GGUF file."""
    return Path(path).suffix == ".gguf"


def subject(
    family: Family,
    path: str,
    chat: bool = False,
    temperature: float = 1.0,
    served: bool = False,
    threads: int = 2,
    slots: int = 64,
    context: int = 512,
    top: int = 200,
) -> LanguageModel:
    """A language model in a GGUF file, by llama.cpp.

    Args:
        family: one with words.
        path: the GGUF file.
        chat: ask in turns of a conversation instead of texts to be completed.
        temperature: at which label probabilities are drawn from; 0 takes the likeliest.
        served: ask it over its own server on 127.0.0.1 instead of in this process.
        threads: of llama.cpp.
        slots: contexts that are held at a time, so that the beginning that a question has in common with an earlier one
            is not computed again.
        context: tokens of each.
        top: how many first tokens are listed with their probabilities.
    """
    within(1, 1024, threads=threads, slots=slots, top=top)
    within(64, 1_000_000, context=context)
    talks = spoken(family)
    if not Path(path).is_file():
        raise MesascopeError(f"There is no file {path!r}.", "Name a .gguf file.")
    try:
        limits.gguf(path)
    except (ValueError, OSError) as error:
        raise MesascopeError(
            f"{path!r} is no whole GGUF file: {error}.", "Copy or convert it again."
        ) from None
    engine = load(path, threads, slots, context)
    told = {"chat": chat, "temperature": float(temperature), "served": served, "context": context, "top": top}
    name = named(subject, path=path, **told)
    before = _digest(path)
    if served:
        gate.typed(address := f"{engine.listening_address}/v1")
        far = served_model(
            family, address, "", "log_probs", chat, temperature, top=top, side=slots, cache="none"
        )
        keep = _Held(far.asker, engine)
        return LanguageModel(name, "unknown", talks, keep, far.log, before, temperature)
    asker = Prompts(
        _sender(engine),
        Kept(None, before),
        "",
        chat,
        "log_probs",
        top,
        1,
        8,
        1,
        slots,
        lambda: {"file": _digest(path)},
    )
    return LanguageModel(name, "unknown", talks, asker, Log(), before, temperature)


class _Held:
    """An asker over a server that lives as long as it does."""

    def __init__(self, asker: Prompts, engine: Any):
        self.asker, self.engine = asker, engine
        self.mode, self.samples, self.hidden = asker.mode, asker.samples, None
        self.answers, self.told, self.fingerprint = asker.answers, asker.told, asker.fingerprint


def load(path: str, threads: int = 2, slots: int = 64, context: int = 512) -> Any:
    """llama.cpp's server with a model; its `listening_address` is on 127.0.0.1.

    Raises:
        MesascopeError: xllamacpp is missing, or the file cannot be loaded.
    """
    try:
        import xllamacpp
    except ImportError:
        raise MesascopeError(
            "Running a GGUF file needs xllamacpp.", "Install it with: pip install 'mesascope[lm]'"
        ) from None
    params = xllamacpp.CommonParams()  # pyright: ignore[reportAttributeAccessIssue]
    params.model.path = path
    params.n_ctx, params.n_parallel = slots * context, slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = max(4, slots)
    params.verbosity, params.warmup = -1, False
    params.cache_ram_mib = params.n_ctx_checkpoints = 0
    try:
        return xllamacpp.Server(params)  # pyright: ignore[reportAttributeAccessIssue]
    except Exception as error:
        raise MesascopeError(
            f"llama.cpp cannot load {path!r}: {type(error).__name__}: {error}.",
            "Name a GGUF file of a language model.",
        ) from None


def _sender(engine: Any) -> Any:
    """A function that puts requests to llama.cpp in this process."""

    def send(place: str, body: Mapping[str, Any]) -> Any:
        put = engine.handle_chat_completions if place.startswith("chat") else engine.handle_completions
        try:
            reply = put({**body, "cache_prompt": True})
        except Exception as error:
            raise Failed(_why(str(error))) from None
        reply = json.loads(reply) if isinstance(reply, str | bytes) else reply
        if isinstance(reply, Mapping) and "error" in reply:
            raise Failed(_why(json.dumps(reply["error"])))
        return reply

    return send


def _why(told: str) -> str:
    """An error of llama.cpp in short."""
    long = any(mark in told.lower() for mark in TOO_LONG)
    return "the context is too long for it" if long else f"llama.cpp said: {' '.join(told.split())[:200]}"


def _digest(path: str) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
