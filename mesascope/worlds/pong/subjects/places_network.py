"""A recurrent network that is told where ball and paddles are in Pong, its weights read from one .safetensors file.

Of a percept it sees the positions behind the frame, the last action and the last point; that the ball moves it must
carry. A file holds the weights and, in its header, one JSON text under the key 'mesascope'. Nothing in it is run.
"""

from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.network_files import OurFiles
from mesascope.agents.networks.recurrent import Recurrent, create
from mesascope.contracts.scripted import Family, Percept, Response
from mesascope.contracts.subject import NamedSubject
from mesascope.errors import MesascopeError
from mesascope.worlds.pong.pong_screen import RAM, SIZE, shows_places

FORMAT = "mesascope-places-network/1"
MEMORIES = ("gru", "lstm", "none")
TOLD = ("action", "feedback", "observation")


def _odd(said: Mapping[str, Any]) -> str:
    """What is wrong with the memory that a header names."""
    if said.get("memory") in MEMORIES:
        return ""
    return f"its memory is {said.get('memory')!r}, none of {', '.join(MEMORIES)}"


WHOLES = {"width": (1, 4096), "choices": (2, 4096)}
OURS = OurFiles(FORMAT, "network that is told places", WHOLES, _odd)
opens, bundled, family_of, about = OURS.opens, OURS.bundled, OURS.family_of, OURS.about


class PlacesNetwork(NamedSubject):
    """A trained network with its weights frozen."""

    network: Recurrent

    def fresh(self, n: int) -> Any:
        """Zeros."""
        return self.network.fresh(n)

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Takes in the positions, then draws from the policy."""
        return self.network.respond(key, carry, show_places(percept))

    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """Named activations [N, U] of its memory."""
        return self.network.taps(carry)

    def untrained(self, seed: int) -> Self:
        """A network of the same shape as training starts from."""
        return eqx.tree_at(lambda s: s.network, self, self.network.untrained(seed))


def show_places(percept: Percept) -> Percept:
    """The percept with four numbers of about 1 in place of the picture: where ball and paddles are."""
    places = jnp.asarray(percept.observation)[:, SIZE : SIZE + len(RAM)].astype(jnp.float32)
    return percept._replace(observation=(places - 128.0) / 64.0)


def initialise(key: jax.Array, memory: str, width: int, choices: int) -> Recurrent:
    """An untrained network."""
    return create(key, memory, width, TOLD, (choices, len(RAM), 1))


def subject(family: Family, path: str = "") -> PlacesNetwork:
    """A recurrent network that is told where ball and paddles are, read from its .safetensors file.

    Args:
        family: what it is put to; it needs to tell these places.
        path: the file, or the name of a network that ships.
    """
    file = OURS.find(path)
    said = about(file)
    if not shows_places(family) or family.choices != said["choices"]:
        raise MesascopeError(
            f"{str(path)!r} is told where ball and paddles are; {family.name} does not tell.",
            f"Put it to its own family, {said['family']}.",
        )
    empty = eqx.filter_eval_shape(
        lambda: initialise(jax.random.key(0), said["memory"], said["width"], said["choices"])
    )
    network = OURS.filled(file, empty)
    return PlacesNetwork(f"places_network:path={path}", said["trained_on"], network)
