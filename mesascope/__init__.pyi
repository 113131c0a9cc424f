from .agents.classes import from_class
from .agents.function import wrap
from .agents.observing import observe
from .agents.opening import make
from .contracts import Condition, Family, Metric, Percept, Response, Subject
from .errors import MesascopeError
from .examination.comparison import Comparison, compare
from .examination.examination import Examination, examine
from .examination.logged import measure, open_run, place
from .findings import Finding
from .logs import read_log
from .questions.spectrum.placement import Placement, Rule
from .reporting import plot, write_report
from .rollouts.family_env import FamilyEnv
from .rollouts.replays import replay
from .rollouts.rollouts import rollout

__version__: str
__all__ = [
    "Comparison",
    "Condition",
    "Examination",
    "Family",
    "FamilyEnv",
    "Finding",
    "MesascopeError",
    "Metric",
    "Percept",
    "Placement",
    "Response",
    "Rule",
    "Subject",
    "compare",
    "examine",
    "from_class",
    "make",
    "measure",
    "observe",
    "open_run",
    "place",
    "plot",
    "read_log",
    "replay",
    "rollout",
    "wrap",
    "write_report",
]
