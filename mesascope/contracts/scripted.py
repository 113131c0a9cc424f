"""What a scripted subject is written with, from one place: its base, what it sees, how it chooses, its settings."""

from mesascope.contracts.family import Family, narrow, of_bank
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import keep_settings
from mesascope.contracts.subject import Choosing, Response, Scripted, choose, floats

__all__ = [
    "Choosing",
    "Family",
    "Percept",
    "Response",
    "Scripted",
    "choose",
    "floats",
    "keep_settings",
    "narrow",
    "of_bank",
]
