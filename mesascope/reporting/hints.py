"""Types that serve only as hints, because their modules are slow to import and a report may not need them."""

from typing import TYPE_CHECKING, Any

__all__ = ["Axes", "Examination", "Figure", "Group"]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Group

    from mesascope.examination.examination import Examination
else:
    Axes = Examination = Figure = Group = Any
