"""Masks secrets in all written or printed texts: passwords, keys, and headers that contain passwords or keys."""

import os
import re
from collections.abc import Iterable

MASK = "…"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"  # this name is never masked, even if the variable is not set
SECRET_NAMES_PATTERN = r"(?:x-)?(?:api[-_]?)?key|(?:\w+[-_])?token|secret|passw(?:or)?d"
KEY_NAME_PATTERN = re.compile(r"key|token|secret|pass|sig|auth|cred|code", re.IGNORECASE)
PLAIN_WORD_PATTERN = re.compile(r"[a-z_.]+|\d{1,9}")  # a value that cannot be a key
MIN_MATCH_LENGTH = 6  # a word is masked if it contains this number of consecutive characters of a secret

_USER_PATTERN = re.compile(r"(\w://)(?:(?!, *\w+=)\S)*@")
_QUERY_PATTERN = re.compile(r"(\w://[^\s?#,'\"]*)[?#][^\s,'\"]*")
_SETTING_PATTERN = re.compile(rf"(?<![A-Za-z_-])({SECRET_NAMES_PATTERN})( *= *['\"]?)([^\s,&'\"]+)", re.IGNORECASE)
_HEADER_PATTERN = re.compile(r"\b(Bearer|Basic) +(?=\S*[0-9A-Z=])[^\s'\",]{8,}")
_MASKED_PATTERN = re.compile(r"[\w-]+\*{3,}[\w-]*")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Removes secrets from a text: keys, secrets in headers, and the user, password and query of every URL.

    Args:
        text: a command, a message or a server's reply.
        secrets: further secrets; a word is masked if it contains a whole secret or six consecutive characters of it.
    """
    pieces = [piece for secret in secrets for piece in secret.split()]
    parts = {p[i : i + MIN_MATCH_LENGTH] for p in pieces for i in range(max(len(p) - MIN_MATCH_LENGTH, 0) + 1)}
    if parts:
        text = re.sub(r"\S+", lambda word: MASK if any(_is_part_revealed(word[0], p) for p in parts) else word[0], text)
    text = _HEADER_PATTERN.sub(rf"\1 {MASK}", _MASKED_PATTERN.sub(MASK, text))
    return _SETTING_PATTERN.sub(_mask_setting, _QUERY_PATTERN.sub(r"\1", _USER_PATTERN.sub(r"\1", text)))


def _is_part_revealed(word: str, part: str) -> bool:
    """Checks whether a word contains a part of a secret; a part of up to three letters must be a separate word."""
    return part in word if len(part) > 3 else part in re.split(r"[^\w-]+", word)


def _mask_setting(match: re.Match[str]) -> str:
    """Masks a setting's value, unless the value is the name of an environment variable or cannot be a key."""
    name, equals, value = match.groups()
    before = match.string[: match.start()].rpartition(" ")[2]
    is_for_server = "://" in before or "openai_api:" in before
    is_variable = value in os.environ or value == DEFAULT_KEY_VARIABLE
    is_harmless = is_variable or (not is_for_server and PLAIN_WORD_PATTERN.fullmatch(value))
    return match[0] if is_harmless else f"{name}{equals}{MASK}"
