"""Runs a recipe, for one seed or several."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.families import Family

LAST = 2**31 - 1  # seed


def train(
    recipe: str,
    family: Family | str,
    out: str | os.PathLike,
    seeds: int = 1,
    progress: Callable[[float, str], None] = lambda share, doing: None,
) -> list[Path]:
    """Trains `seeds` subjects by a recipe; what is finished in the folder is not repeated.

    Args:
        recipe: name with settings, as 'ppo_recurrent:width=32,seed=5'.
        family: what is trained on; its bank, if it has one, is all that is trained on.
        out: the folder; with several seeds one folder 'seed-S' each.
        seeds: how many, with seeds from the recipe's own upwards.
        progress: called with the share that is done and what is being done.

    Returns:
        The networks' files.
    """
    family = catalogue.make("families", family) if isinstance(family, str) else family
    name, given = catalogue.split(recipe)
    made = catalogue.factory("recipes", name)
    settings = catalogue.convert(made, given, f"recipe {name!r}")
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise MesascopeError(f"{str(out)!r} is a file.", "Name a folder with --out.")
    first = int(settings.pop("seed", 0))
    if not 0 <= first <= LAST - seeds:
        raise MesascopeError(
            f"seed={first} is out of range.", f"Give a whole number from 0 to {LAST - seeds}."
        )
    paths = []
    for i in range(seeds):
        where = out if seeds == 1 else out / f"seed-{first + i}"

        def tell(state, i=i):
            left = f"; about {state.seconds_left:.0f} s left of this one" if state.seconds_left else ""
            doing = f"{name}, seed {first + i}: update {state.done} of {state.total}, {state.score:.3f} a trial{left}"
            progress((i + state.done / state.total) / seeds, doing)

        paths.append(made(family, where, seed=first + i, progress=tell, **settings).path)
    return paths
