"""A language model in a local GGUF file; llama.cpp (xllamacpp) runs it in this process, or as a server on 127.0.0.1."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesascope.agents.foreign import FileKind
from mesascope.agents.language.language import LanguageModel, QuestionLog, require_questions
from mesascope.agents.language.openai_api import subject as served_model
from mesascope.agents.language.prompts import PromptAsker
from mesascope.agents.language.requests import LONG_CONTEXT_PHRASES, AnswerCache, RequestFailed
from mesascope.contracts import Family, check_range, import_optional_package, make_configured_name
from mesascope.errors import MesascopeError
from mesascope.guards import gate, limits

GGUF = FileKind("GGUF file", "Name a .gguf file.", "Copy or convert it again.")


def can_open(path: str) -> bool:
    """Whether this adapter opens a file: only the ending .gguf decides."""
    return Path(path).suffix == ".gguf"


def subject(
    family: Family,
    *,
    path: str,
    is_chat: bool = False,
    temperature: float = 1.0,
    is_served: bool = False,
    threads: int = 2,
    slots: int = 64,
    context: int = 512,
    listed_tokens: int = 200,
) -> LanguageModel:
    """A language model in a GGUF file, run by llama.cpp.

    Args:
        family: a family with questions in words.
        path: the path of the GGUF file.
        is_chat: whether questions are turns of a conversation instead of texts to complete.
        temperature: the temperature at which labels are drawn from their probabilities; 0 takes the likeliest label.
        is_served: whether the model runs as a server on 127.0.0.1 instead of in this process.
        threads: the number of llama.cpp's threads.
        slots: the number of cached contexts; if a question begins as an earlier one did, that part is not recomputed.
        context: the maximum number of tokens in a question and its answer.
        listed_tokens: the number of first tokens that are listed with their probabilities.
    """
    check_range(1, 1024, threads=threads, slots=slots, listed_tokens=listed_tokens)
    check_range(64, 1_000_000, context=context)
    words_family = require_questions(family)
    with GGUF.explain_errors(path):
        limits.check_gguf(path)
    engine = start_server(path, threads, slots, context)
    settings = {"is_chat": is_chat, "temperature": float(temperature), "is_served": is_served}
    settings |= {"context": context, "listed_tokens": listed_tokens}
    name = make_configured_name(subject, path=path, **settings)
    weights_hash = _hash_weights(path)["file"]
    if is_served:
        gate.allow(address := f"{engine.listening_address}/v1")
        options = {"is_chat": is_chat, "temperature": temperature, "listed_tokens": listed_tokens}
        options |= {"parallel_requests": slots, "cache": "none"}
        served_subject = served_model(family, path=address, mode="log_probs", **options)
        served_subject.asker.engine = engine
        return dataclasses.replace(served_subject, name=name, identity_code=weights_hash)
    cache, weights = AnswerCache(None, weights_hash), functools.partial(_hash_weights, path)
    asker = PromptAsker(
        _make_sender(engine),
        cache,
        "",
        is_chat,
        "log_probs",
        listed_tokens=listed_tokens,
        batch=slots,
        compute_weight_hashes=weights,
    )
    return LanguageModel(name, "unknown", words_family, asker, QuestionLog(), weights_hash, temperature)


def start_server(path: str, threads: int = 2, slots: int = 64, context: int = 512) -> Any:
    """Starts llama.cpp's server with a model, and returns the server; its `listening_address` is on 127.0.0.1.

    Raises:
        MesascopeError: xllamacpp is missing, or the file cannot be loaded.
    """
    xllamacpp = import_optional_package("xllamacpp", "lm")
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel = slots * context, slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = max(4, slots)
    params.verbosity, params.warmup = -1, False
    params.cache_ram_mib = params.n_ctx_checkpoints = 0
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        problem = f"llama.cpp cannot load {path!r}: {type(error).__name__}: {error}."
        raise MesascopeError(problem, "Name a GGUF file of a language model.") from None


def _make_sender(engine: Any) -> Any:
    """Makes a function that sends requests to llama.cpp in this process."""

    def send(endpoint: str, body: Mapping[str, Any]) -> Any:
        handler = engine.handle_chat_completions if endpoint.startswith("chat") else engine.handle_completions
        try:
            reply = handler({**body, "cache_prompt": True})
        except Exception as error:
            raise RequestFailed(_shorten_error(str(error))) from None
        reply = json.loads(reply) if isinstance(reply, str | bytes) else reply
        if isinstance(reply, Mapping) and "error" in reply:
            raise RequestFailed(_shorten_error(json.dumps(reply["error"])))
        return reply

    return send


def _shorten_error(message: str) -> str:
    """Shortens the message of an error that llama.cpp raised or returned."""
    is_too_long = any(mark in message.lower() for mark in LONG_CONTEXT_PHRASES)
    short_message = f"llama.cpp reported: {' '.join(message.split())[:200]}"
    return "the context is too long for the model" if is_too_long else short_message


def _hash_weights(path: str) -> dict[str, str]:
    """Computes the first 16 hexadecimal digits of the file's SHA-256 hash."""
    with open(path, "rb") as file:
        return {"file": hashlib.file_digest(file, "sha256").hexdigest()[:16]}
