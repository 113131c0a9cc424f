"""Types for type hints only: their modules are slow to import, and a report may not need them."""

from typing import TYPE_CHECKING, Any

__all__ = ["Axes", "Difference", "Examination", "Figure"]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mesascope.examination.comparison import Difference
    from mesascope.examination.examination import Examination
else:
    Axes = Difference = Examination = Figure = Any
