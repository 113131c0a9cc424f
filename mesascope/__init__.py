"""Examines how a network with frozen weights uses its experience, and how far this use reaches.

The usual path is one call:

    found = mesascope.examine("thompson", "bernoulli_bandit:arms=5,trials=100", lifetimes=64)
    found.placement   # where the subject stands on the spectrum, and why
    found.findings    # every number with its interval, as a DataFrame
    found.plot()      # a matplotlib figure; found.report("page.html") writes a page with all figures
    found.trials["fresh"]  # the trials themselves, as an xarray.Dataset

The subject can be a function of your own, an object of the class Subject, a file of a network, or a name; the command
`mesascope list` shows the names. You can also call each step of `examine` yourself:

    make       makes a family, subject, condition or metric from its name and settings
    rollout    runs a subject's lifetimes under conditions that disturb them
    measure    applies metrics to trials: the result of `rollout`, or a log
    place      places the subject on the spectrum, from its trials
    compare    compares two subjects on the same tasks, or two recipes with several training seeds each
    open_run   opens the results of an earlier run, from its folder
    read_log   reads logged choices as trials

docs/python.md has an example of each. docs/adding.md explains how to write a new family, subject, condition or metric.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and "mesascope" in sys.orig_argv and not sys.flags.safe_path:
    # python -m searches the current folder first, where another package may have the name mesascope. If the current
    # folder contains this package, it is now searched last; otherwise it is not searched.
    sys.path[:] = [*sys.path[1:], *(p for p in sys.path[:1] if p == os.path.dirname(os.path.dirname(__file__)))]

# JAX makes its pool with one thread per core, or with $NPROC threads. In jaxlib 0.10, a batched LAPACK call (such as
# `eigh`) that runs in the pool waits there for further threads of the pool. So where lifetimes run in several threads,
# a pool of two threads can wait for itself forever.
os.environ.setdefault("NPROC", str(max(16, os.cpu_count() or 1)))

from mesascope.public import attach

__version__ = "0.1.0"

# __init__.pyi lists the public names; the module of a name is imported when the name is first used
__getattr__, _list_names, __all__ = attach(__name__, __file__)


def __dir__() -> list[str]:
    return [*_list_names(), "__version__"]
