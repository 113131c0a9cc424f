"""Everything that a scripted subject's file needs, in one import: base classes, percepts, choices, settings."""

from mesascope.contracts.family import Family, require_bank, require_family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import keep_settings
from mesascope.contracts.subject import Choosing, Response, Scripted, as_arrays, choose

__all__ = ["Choosing", "Family", "Percept", "Response", "Scripted", "as_arrays"]
__all__ += ["choose", "keep_settings", "require_bank", "require_family"]
