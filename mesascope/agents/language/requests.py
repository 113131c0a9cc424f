"""Sends requests to a model server; removes secrets from addresses, saves answers, retries, and explains errors."""

import base64
import contextlib
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

from mesascope.contracts import import_optional_package
from mesascope.errors import MesascopeError
from mesascope.files import make_cache_path
from mesascope.guards.secrecy import DEFAULT_KEY_VARIABLE, KEY_NAME_PATTERN, redact

RETRIED_CODES = (408, 409, 425, 429, 500, 502, 503, 504, 529)  # status codes after which a question is sent again
MAX_PAUSE = 30.0  # the longest pause in seconds that a server may request
LONG_CONTEXT_PHRASES = (
    *("context length", "context_length", "context size", "maximum context"),
    *("too long", "exceed_context"),
)


class RequestFailed(Exception):
    """Raised if a reachable server does not answer a question; the exception's text gives the reason."""


def split_address(address: str) -> SplitResult:
    """Splits an address into its parts.

    Raises:
        MesascopeError: the text is not an http address, or the end of its password is ambiguous. The message does not
            repeat any part of the address.
    """
    try:
        parts = urlsplit(address)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        remedy = "Type for example http://127.0.0.1:8080/v1; in a password, write / as %2F, ? as %3F and # as %23."
        raise MesascopeError("The address of a model server begins with http:// or https:// and names a host.", remedy)
    if "@" in parts.path + parts.query + parts.fragment or re.search(r"\s", address):
        remedy = "Write %20 for a space and %40 for an @; in a password, / as %2F, ? as %3F and # as %23."
        raise MesascopeError("The address of a model server contains a space, or an @ after its host.", remedy)
    return parts


def strip_address(address: str) -> str:
    """Removes user, password, query and fragment from an address, so that the address may be recorded."""
    parts = split_address(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path.rstrip("/"), "", ""))


def read_key(name: str) -> str:
    """Reads the key in an environment variable; '' if `name` is ''.

    Raises:
        MesascopeError: the variable is not set, or its value is not valid in a header. The message does not repeat the
            typed name, because a user may have typed the key instead.
    """
    if name and name != DEFAULT_KEY_VARIABLE and name not in os.environ:
        remedy = "Put the key into an environment variable, and type the variable's name after key=."
        raise MesascopeError("The value of key= is not the name of an environment variable that is set.", remedy)
    value = os.environ.get(name, "").strip() if name else ""
    if not (value.isascii() and value.isprintable()):
        problem = f"The key in the environment variable {name} contains a character that an HTTP header cannot contain."
        raise MesascopeError(problem, "Set the variable again, on one line.")
    return value


class AnswerCache:
    """Saved answers by question, in memory and optionally in a file that only the user can read.

    Each line of the file contains the address, the request's body and one answer, but no HTTP header (and so no API
    key).
    """

    def __init__(self, path: Path | None, base_url: str):
        self.path, self.base_url, self.saved_answers, self.lock = path, base_url, {}, threading.Lock()
        self.n_sent = 0  # the number of questions that were sent
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        line = b"\n"
        with path.open("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that was cut off when a run stopped
                    entry = json.loads(line)
                    self.saved_answers[entry["key"]] = entry["answer"]
        if not line.endswith(b"\n"):  # otherwise the next answer would continue the line that was cut off
            with path.open("ab") as file:
                file.write(b"\n")

    def make_key(self, endpoint: str, body: Mapping[str, Any]) -> str:
        """Computes the key of a question: a hash of the request and the server's address."""
        request = json.dumps([self.base_url, endpoint, body], sort_keys=True)
        return hashlib.sha256(request.encode()).hexdigest()

    def store(self, endpoint: str, body: Mapping[str, Any], answer: Any) -> None:
        """Saves an answer immediately, in a single write."""
        key = self.make_key(endpoint, body)
        with self.lock:
            self.saved_answers[key] = answer
            if self.path is None:
                return
            entry = {"key": key, "address": f"{self.base_url}/{endpoint}", "request": body, "answer": answer}
            line = (json.dumps(entry) + "\n").encode()
            with open(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as file:
                file.write(line)


def find_answers_file(setting: str, base_url: str, model: str) -> Path | None:
    """Finds the file for saved answers: None for 'none', a file in the user's cache for '', else the named file."""
    if setting == "none":
        return None
    if setting:
        return Path(setting)
    code = hashlib.sha256(f"{base_url} {model}".encode()).hexdigest()[:12]
    slug = "".join(c if c.isalnum() else "-" for c in model)[-40:].strip("-") or "model"
    return make_cache_path("asked", f"{slug}-{code}.jsonl")


class Server:
    """A model server; the key is read from the environment and sent to this server only.

    Args:
        address: the base address, such as http://127.0.0.1:8080/v1; its user and password are used but never recorded.
        key: the name of the environment variable that contains the server's API key.
        timeout: the maximum number of seconds for one answer.
        retries: the maximum number of times that a failed question is sent again.
        first_pause: the number of seconds before the first retry; the pause doubles with every retry.
    """

    def __init__(self, address: str, key: str, timeout: float, retries: int, first_pause: float = 0.5):
        self.base_url, parts, token = strip_address(address), split_address(address), read_key(key)
        httpx = import_optional_package("httpx", "lm")
        for logger in ("httpx", "httpcore"):  # these loggers would write the query and the server's headers
            logging.getLogger(logger).setLevel(logging.WARNING)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        query_keys = [value for name, value in parse_qsl(parts.query) if KEY_NAME_PATTERN.search(name)]
        secrets = {token, password or user, parts.password or "", credentials, *query_keys, *map(quote, query_keys)}
        self.secrets = secrets - {""}
        self.httpx, self.retries, self.first_pause = httpx, retries, first_pause
        self.query = parts.query
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        auth = (user, password) if user and not token else None
        self.client = httpx.Client(headers=headers, auth=auth, timeout=timeout, follow_redirects=False)

    def __del__(self) -> None:
        if hasattr(self, "client"):
            self.client.close()

    def ask(self, endpoint: str, body: Mapping[str, Any]) -> Any:
        """Sends one request and returns the server's answer.

        Raises:
            RequestFailed: the server gave no usable answer after all retries.
            MesascopeError: the server cannot be reached, or rejects the key, the model or the request.
        """
        url = f"{self.base_url}/{endpoint}" + (f"?{self.query}" if self.query else "")
        reason, pause = "", 0.0
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(min(pause, MAX_PAUSE))
            pause = self.first_pause * 2**attempt
            try:
                reply = self.client.post(url, json=dict(body))
                if reply.status_code < 300:
                    return reply.json()
            except self.httpx.ConnectError:
                reason = "refused"
            except self.httpx.TimeoutException:
                reason = "it took longer than the timeout"
            except self.httpx.HTTPError as error:  # such as an incomplete answer or a broken connection
                reason = f"the answer was incomplete ({type(error).__name__})"
            except ValueError:
                reason = "its answer is not JSON"
            else:
                if reply.status_code not in RETRIED_CODES:
                    raise self._make_error(reply)
                reason = f"it answered with status {reply.status_code}"
                with contextlib.suppress(TypeError, ValueError):  # the reply gives no valid waiting time
                    pause = max(float(reply.headers.get("retry-after")), 0.0)
        if reason == "refused":
            problem = f"No model server answers at {self.base_url}."
            raise MesascopeError(problem, "Start the server, or correct the address. All earlier answers are saved.")
        raise RequestFailed(reason)

    def _make_error(self, reply: Any) -> Exception:
        """Makes the error for a status code after which a retry would not help."""
        message = " ".join(redact(reply.text, self.secrets).split())[:200]
        if reply.status_code in (400, 413, 422) and any(mark in reply.text.lower() for mark in LONG_CONTEXT_PHRASES):
            return RequestFailed(f"the context is too long for the model ({reply.status_code})")
        new_key = "Put a valid key into the environment variable that the setting key names."
        new_address = "Check the address (it often ends in /v1) and the name of the model."
        remedies = {401: new_key, 403: new_key, 404: new_address}
        remedy = remedies.get(reply.status_code, "Check the model's name and the settings.")
        return MesascopeError(f"{self.base_url} answered with status {reply.status_code}: {message}.", remedy)
