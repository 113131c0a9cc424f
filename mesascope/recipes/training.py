"""Runs a recipe, for one seed or several."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import jax

from mesascope import catalogue
from mesascope.contracts import Family, check_range
from mesascope.errors import require
from mesascope.guards import gate
from mesascope.guards.blame import prevent_exits
from mesascope.precision import use_single_precision

if TYPE_CHECKING:
    from mesascope.contracts import Progress

MAX_SEED = 2**31 - 1  # the largest seed
N_WORKERS = 2  # how many training runs happen at once; each keeps one core busy


@prevent_exits()
@use_single_precision()
def train(
    recipe: str,
    family: Family | str,
    out: str | os.PathLike,
    seeds: int = 1,
    progress: Callable[[float, str], None] = lambda share, activity: None,
) -> list[Path]:
    """Trains one network per seed with a recipe, two at a time, and skips networks that the folder already contains.

    Args:
        recipe: the recipe's name with settings, such as 'ppo_recurrent:width=32,seed=5'.
        family: the training family. The tasks are those of its bank if it has one, otherwise unlimited fresh tasks.
        out: the folder for the networks. If there are several seeds, each seed has a folder 'seed-S' in it.
        seeds: the number of seeds, which count up from the recipe's seed.
        progress: a function that is called with the share of the work that is done, and with a text that says what is
            running.

    Returns:
        The path of each network's file, in the order of the seeds, including networks that the folder already
        contained.
    """
    gate.allow_from_python(family)
    home: Family = catalogue.make("families", family) if isinstance(family, str) else family
    name, requested_settings = catalogue.parse_spec(recipe)
    run_recipe = catalogue.get_factory("recipes", name)
    settings = catalogue.convert_settings(run_recipe, requested_settings, f"recipe {name!r}")
    out = Path(out)
    require(not out.exists() or out.is_dir(), f"{str(out)!r} is a file.", "Name a folder with --out.")
    first_seed = int(settings.pop("seed", 0))
    check_range(0, MAX_SEED - seeds, seed=first_seed)
    folders = [out if seeds == 1 else out / f"seed-{first_seed + i}" for i in range(seeds)]
    shares, lock = [0.0] * seeds, threading.Lock()
    compiled_event, stop_event = threading.Event(), threading.Event()

    def train_seed(i: int) -> Path:
        def report(state: Progress) -> None:
            compiled_event.set()
            if stop_event.is_set():
                raise KeyboardInterrupt  # the recipe then saves a checkpoint, as if the user had stopped it
            remaining = f"; about {state.seconds_left:.0f} s left for this seed" if state.seconds_left else ""
            position = f"update {state.finished_updates} of {state.total_updates}, {state.score:.3f} a trial"
            with lock:
                shares[i] = state.finished_updates / state.total_updates
                progress(sum(shares) / seeds, f"{name}, seed {first_seed + i}: {position}{remaining}")

        if i:
            compiled_event.wait()  # the first seed compiles for all of them
        try:
            return run_recipe(home, folders[i], seed=first_seed + i, progress=report, **settings).path
        except jax.errors.JAXTypeError:
            problem = f"{home.name} cannot be compiled by JAX, so the recipe {name!r} cannot train on it."
            remedy = "Train with your own framework, and examine the file that it saves: see docs/agents.md."
            require(home.is_traceable, problem, remedy)
            raise
        finally:
            compiled_event.set()

    if seeds == 1:
        return [train_seed(0)]
    with ThreadPoolExecutor(N_WORKERS) as pool:
        futures = [pool.submit(train_seed, i) for i in range(seeds)]
        try:
            return [f.result() for f in futures]
        except BaseException:
            stop_event.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
