from .answers import Answer
from .argument import Argument, load_argument, load_thread
from .bounds import Constraint, Polytope, Rule
from .claims import Conventions
from .coherence import Issue
from .credal import CredalNet
from .interchange import read_bif
from .language import Event, parse_event
from .networks import Net, Undefined
from .readings import fit_beta, read_ratio, read_value

__all__ = [
    "Answer",
    "Argument",
    "Constraint",
    "Conventions",
    "CredalNet",
    "Event",
    "Issue",
    "Net",
    "Polytope",
    "Rule",
    "Undefined",
    "fit_beta",
    "load_argument",
    "load_thread",
    "parse_event",
    "read_bif",
    "read_ratio",
    "read_value",
]
