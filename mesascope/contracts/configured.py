"""What a family is written with, from one place: its base, its splits, its banks, what it shows, its settings."""

from mesascope.contracts.family import Configured, draw_bank, payoffs, pick, reference_roles
from mesascope.contracts.percept import Array, Percept, born, told
from mesascope.contracts.settings import fits, keep_settings, named, within
from mesascope.contracts.split import Draw, Split

__all__ = [
    "Array",
    "Configured",
    "Draw",
    "Percept",
    "Split",
    "born",
    "draw_bank",
    "fits",
    "keep_settings",
    "named",
    "payoffs",
    "pick",
    "reference_roles",
    "told",
    "within",
]
