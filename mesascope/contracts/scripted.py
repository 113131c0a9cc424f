"""What a scripted subject is written with, from one place: its base, what it sees, how it chooses, its settings."""

from mesascope.contracts.family import Family, require_bank, require_family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import keep_settings
from mesascope.contracts.subject import Choosing, Response, Scripted, as_arrays, choose

__all__ = [
    "Choosing",
    "Family",
    "Percept",
    "Response",
    "Scripted",
    "as_arrays",
    "choose",
    "keep_settings",
    "require_bank",
    "require_family",
]
