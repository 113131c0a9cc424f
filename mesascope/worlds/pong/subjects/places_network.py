"""Loads a recurrent network that sees the positions of the ball and the paddles in Pong from a .safetensors file.

The network sees the positions, the last action and the last point. A single percept does not show how the ball moves,
so the network must infer this movement with its carry. The file contains the weights and, in its header, one JSON text
under the key 'mesascope'. No code is loaded from the file.
"""

from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.network_files import NetworkFormat
from mesascope.agents.networks.recurrent import Recurrent, create_network
from mesascope.contracts import Family, NamedSubject, Percept, Response
from mesascope.errors import MesascopeError
from mesascope.worlds.pong.pong_screen import FRAME_SIZE, MEMORY_ADDRESSES, shows_positions

FORMAT = "mesascope-places-network/1"
MEMORY_KINDS = ("gru", "lstm", "none")
OBSERVED_FIELDS = ("action", "feedback", "observation")


def _find_fault(metadata: Mapping[str, Any]) -> str:
    """Describes what is wrong with the kind of memory named in a file's header; '' if it is valid."""
    if metadata.get("memory") in MEMORY_KINDS:
        return ""
    return f"its memory is {metadata.get('memory')!r}, which is not one of {', '.join(MEMORY_KINDS)}"


INTEGER_RANGES = {"width": (1, 4096), "choices": (2, 4096)}
FILE_FORMAT = NetworkFormat(FORMAT, "network that sees positions", INTEGER_RANGES, _find_fault)
can_open, read_family = FILE_FORMAT.can_open, FILE_FORMAT.read_family
list_shipped_networks, read_metadata = FILE_FORMAT.list_shipped_networks, FILE_FORMAT.read_metadata


class PlacesNetwork(NamedSubject):
    """A trained recurrent network with frozen weights that sees positions in Pong."""

    network: Recurrent

    def initialize_carry(self, n: int) -> Any:
        """Returns a carry of zeros."""
        return self.network.initialize_carry(n)

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Passes the positions to the network, and draws an action from its policy."""
        return self.network.respond(key, carry, show_positions(percept))

    def read_taps(self, carry: Any) -> dict[str, jax.Array]:
        """Returns the activations of the memory by name, [N, U]."""
        return self.network.read_taps(carry)

    def make_untrained_twin(self, seed: int) -> Self:
        """Returns the same subject with an untrained network of the same shape, as at the start of training."""
        return eqx.tree_at(lambda s: s.network, self, self.network.make_untrained_twin(seed))


def show_positions(percept: Percept) -> Percept:
    """Returns the percept with the present positions of the ball and the paddles alone, scaled to about ±1."""
    positions = jnp.asarray(percept.observation)[:, FRAME_SIZE : FRAME_SIZE + len(MEMORY_ADDRESSES)].astype(jnp.float32)
    return percept._replace(observation=(positions - 128.0) / 64.0)


def create_untrained_network(key: jax.Array, memory: str, width: int, choices: int) -> Recurrent:
    """Creates an untrained network with the given kind of memory and number of units."""
    return create_network(key, memory, width, OBSERVED_FIELDS, (choices, len(MEMORY_ADDRESSES), 1))


def subject(family: Family, path: str = "") -> PlacesNetwork:
    """Loads a recurrent network that sees the positions of the ball and the paddles from its .safetensors file.

    Args:
        family: the family that the network runs on; its observations must contain the positions of the ball and
            the paddles in Pong.
        path: the file, or the name of a network that ships with the package.
    """
    file = FILE_FORMAT.find_file(path)
    metadata = read_metadata(file)
    if not shows_positions(family) or family.choices != metadata["choices"]:
        raise MesascopeError(
            f"{str(path)!r} needs the positions of ball and paddles, which {family.name} does not show.",
            f"Run it on its own family, {metadata['family']}.",
        )
    template = eqx.filter_eval_shape(
        lambda: create_untrained_network(jax.random.key(0), metadata["memory"], metadata["width"], metadata["choices"])
    )
    network = FILE_FORMAT.load_weights(file, template)
    return PlacesNetwork(f"places_network:path={path}", metadata["trained_on"], network)
