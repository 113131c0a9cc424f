"""Everything that a family's file needs, in one import: base class, splits, banks, percepts, settings."""

from mesascope.contracts.family import Configured, draw_bank, draw_from_bank, name_references
from mesascope.contracts.payoffs import make_payoff_latents, select_payoffs
from mesascope.contracts.percept import Array, Percept, exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.contracts.settings import check_memory, check_range, keep_settings, name_with_settings
from mesascope.contracts.split import DrawTasks, Split

__all__ = ["Array", "Configured", "DrawTasks", "Percept", "Split", "check_memory", "check_range", "draw_bank"]
__all__ += ["exchange_earlier_events", "keep_settings", "make_first_percept", "make_next_percept", "name_with_settings"]
__all__ += ["draw_from_bank", "make_payoff_latents", "name_references", "select_payoffs"]
