"""The formats of the files that mesascope writes, and the words that their first versions used."""

import re
from collections.abc import Container, Mapping
from typing import Any

FINDING = "mesascope-finding/2"
TRIALS = "mesascope-trials/2"
NETWORK = "mesascope-network/2"
OLD_WORDS = {"ring": "split", "probe": "metric", "told": "observes"}  # word of format 1 → present word
OLD_SETTINGS = {  # setting of a committed plan or network → present setting of the same plug-in
    **OLD_WORDS,
    **{"runs": "run_length", "slow": "slow_rate", "fast": "fast_rate", "announced": "announced_share"},
    **{"entropy": "entropy_weight", "critic": "critic_weight", "led": "led_share", "swaps": "swap_probability"},
    **{"stretch": "segment_steps", "ahead": "return_steps", "before": "first_steps", "explore": "exploration_steps"},
}


def is_old(found: Any, current: str) -> bool:
    """Whether a format is version 1 of the current one."""
    return found == f"{current.rpartition('/')[0]}/1"


def reword(table: Mapping[str, Any], words: Mapping[str, str] = OLD_WORDS) -> dict[str, Any]:
    """The table with the old words among its keys replaced with the current ones."""
    return {words.get(key, key): value for key, value in table.items()}


def reword_spec(spec: str, present_settings: Container[str] = ()) -> str:
    """The spec with the old names among its settings replaced with the current ones.

    Args:
        spec: a plug-in's name with settings, 'name:k=v,k=v'.
        present_settings: the settings that the plug-in has today, which stay as they are.
    """

    def find_name(key: re.Match[str]) -> str:
        return key[0] if key[0] in present_settings else OLD_SETTINGS.get(key[0], key[0])

    return re.sub(r"(?<=[:,])(\w+)(?==)", find_name, spec)
