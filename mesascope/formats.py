"""Names the formats of the files that mesascope writes, and the words that were renamed after the first versions."""

import math
import re
from collections.abc import Container, Mapping
from typing import Any

FINDING_FORMAT = "mesascope-finding/2"
TRIALS_FORMAT = "mesascope-trials/2"
NETWORK_FORMAT = "mesascope-network/2"
OLD_WORDS = {"ring": "split", "probe": "metric", "told": "observes"}  # the word in files of format 1 → the present word
OLD_SETTINGS = {  # the old name of a setting in a study's plan or network file → its present name
    **OLD_WORDS,
    **{"runs": "run_length", "slow": "slow_rate", "fast": "fast_rate", "announced": "announced_share"},
    **{"entropy": "entropy_weight", "critic": "critic_weight", "led": "led_share", "swaps": "swap_probability"},
    **{"stretch": "segment_steps", "ahead": "return_steps", "before": "first_steps", "explore": "exploration_steps"},
    **{"trace": "gae_lambda", "minimise": "should_minimise", "each_first": "tries_each_first", "chat": "is_chat"},
}

OLD_FAMILY_SETTINGS = {  # a family → the old name of one of its settings → the present name
    "coin_grid": {"rho": "corner_share"},
    "cued_bandit": {"rho": "cue_validity"},
}

OLD_RULE_CONSTANTS = {  # the old name of a constant of the placement rule in a run's findings → its present name
    **{"smallest_benefit": "min_benefit", "smallest_change": "min_change", "smallest_bits": "min_bits"},
    **{
        "smallest_strict": "min_strict_transplant",
        "errors": "error_multiple",
        "strict_errors": "strict_error_multiple",
    },
    **{"cut": "min_position", "hold": "min_retention", "share": "resample_share"},
    **{
        "bank_limit": "max_locator_retention",
        "short_of_locator": "min_locator_share",
        "beyond_learner": "max_position",
    },
}


def is_old_format(stored_format: Any, current_format: str) -> bool:
    """Checks whether the format that a file states is version 1 of the current format."""
    return stored_format == f"{current_format.rpartition('/')[0]}/1"


def rename_old_keys(table: Mapping[str, Any], words: Mapping[str, str] = OLD_WORDS) -> dict[str, Any]:
    """Replaces old words among the keys of a table with the present words; returns a new table."""
    return {words.get(key, key): value for key, value in table.items()}


def rename_old_settings(spec: str, present_settings: Container[str] = ()) -> str:
    """Replaces old names of settings in a spec with their present names, and returns the new spec.

    Args:
        spec: a plug-in's name with settings, 'name:key=value,key=value'.
        present_settings: the names of the settings that the plug-in has today, which are never replaced.
    """

    present_names = OLD_SETTINGS | OLD_FAMILY_SETTINGS.get(spec.partition(":")[0], {})

    def get_present_name(key: re.Match[str]) -> str:
        return key[0] if key[0] in present_settings else present_names.get(key[0], key[0])

    return re.sub(r"(?<=[:,])(\w+)(?==)", get_present_name, spec)


def replace_non_finite(value: Any) -> Any:
    """Copies plain data with None for infinities and NaN, because JSON has no such numbers; tuples become lists."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
