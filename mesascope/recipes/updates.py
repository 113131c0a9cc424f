"""How our recurrent networks are trained: updates one after the other, each with draws of its own.

Every draw is addressed by the update's number, so the state after update i is a function of the settings alone.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import named
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained
from mesascope.formats import NETWORK
from mesascope.keys import address
from mesascope.recipes.descent import rest
from mesascope.recipes.files import Run, replace
from mesascope.recipes.rounds import Kept, go


class Update(Protocol):
    """One update."""

    def __call__(
        self, key: jax.Array, number: jax.Array, network: recurrent.Recurrent, memory: Any, /
    ) -> tuple[recurrent.Recurrent, Any, jax.Array]:
        """The network and the optimiser's memory after it, and the batch's mean score.

        Args:
            key: of this update.
            number: of updates before it.
            network: before it.
            memory: the optimiser's.
        """
        ...


def train(
    recipe: str,
    family: Family,
    settings: dict[str, Any],
    update: Update,
    out: str | os.PathLike,
    *,
    progress: Callable[[Progress], None],
    begin: Callable[[], tuple[recurrent.Recurrent, Any]] | None = None,
    more: int = 0,
) -> Trained:
    """Runs all updates that are not done yet and writes the network.

    Args:
        recipe: the recipe's name.
        family: what it is trained on.
        settings: of the recipe; updates, lifetimes (of one update), memory, width, observes and seed among them.
        update: from one update to the next.
        out: the folder of network.safetensors and, until that is there, of checkpoint.safetensors.
        progress: called after every update.
        begin: gives the network and the optimiser's memory before the first update; by default fresh weights of the
            recipe's settings, and those of `descend`.
        more: updates beyond those in the settings.

    Raises:
        MesascopeError: the folder holds another training, or it cannot be written.
    """
    key, total = jax.random.key(settings["seed"]), settings["updates"] + more
    lived = settings["lifetimes"] * family.horizon * family.steps  # of one update

    def fresh() -> tuple[recurrent.Recurrent, Any]:
        shape = (settings[k] for k in ("memory", "width", "observes"))
        network = recurrent.begun(address(key, "weights"), family, *shape)
        return network, rest(network)

    def play(start: Kept) -> Iterator[Kept]:
        state, done = start.state, start.done
        while done < total:
            *state, score = update(address(key, "update", done), jnp.asarray(done), *state)
            done += 1
            yield Kept(tuple(state), done, done * lived, done, [float(score)])

    def contents(state: tuple[recurrent.Recurrent, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        network = state[0]
        told = {
            "format": NETWORK,
            "memory": settings["memory"],
            "width": settings["width"],
            **network.memory.layout,
            "observes": list(network.observes),
            "choices": network.choices,
            "observation": recurrent.observation_width(family),
            "horizon": network.horizon,
            "seed": settings["seed"],
        }
        return told, named(network)

    return go(Run(recipe, family, settings, total, contents), begin or fresh, play, out, progress=progress)


def save(network: recurrent.Recurrent, path: Path, told: dict[str, Any]) -> None:
    """Writes a network; the file appears whole or not at all.

    Args:
        network: its weights are written.
        path: the .safetensors file.
        told: everything that the format asks for but the tensors.
    """
    tensors = {k: np.asarray(v) for k, v in named(network).items()}
    replace(path, tensors, {"format": NETWORK, **told})
