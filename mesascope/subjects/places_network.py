"""A recurrent network that is told where ball and paddles are in Pong, its weights read from one .safetensors file.

Of a percept it sees the positions behind the frame, the last action and the last point; that the ball moves it must
carry. A file holds the weights and, in its header, one JSON text under the key 'mesascope'. Nothing in it is run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.errors import MesascopeError
from mesascope.families import Family, Percept
from mesascope.families._pong_screen import PLACES, RAM, SIZE
from mesascope.subjects import Response, Subject
from mesascope.subjects._tensors import filled, shipped
from mesascope.subjects.recurrent import Recurrent, create, read_header

FORMAT = "mesascope-places-network/1"
MEMORIES = ("gru", "lstm", "none")
TOLD = ("action", "feedback", "observation")


class PlacesNetwork(Subject):
    """A trained network with its weights frozen."""

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    network: Recurrent

    identity: ClassVar = ("name", "trained_on")

    def fresh(self, n: int) -> Any:
        """Zeros."""
        return self.network.fresh(n)

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Takes in the positions, then draws from the policy."""
        return self.network.respond(key, carry, told(percept))

    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """Named activations [N, U] of its memory."""
        return self.network.taps(carry)

    def untrained(self, seed: int) -> PlacesNetwork:
        """A network of the same shape as training starts from."""
        return eqx.tree_at(lambda s: s.network, self, self.network.untrained(seed))


def told(percept: Percept) -> Percept:
    """The percept with four numbers of about 1 in place of the picture: where ball and paddles are."""
    places = jnp.asarray(percept.observation)[:, SIZE : SIZE + len(RAM)].astype(jnp.float32)
    return percept._replace(observation=(places - 128.0) / 64.0)


def begun(key: jax.Array, memory: str, width: int, choices: int) -> Recurrent:
    """An untrained network."""
    return create(key, memory, width, TOLD, (choices, len(RAM), 1))


def opens(path: str | os.PathLike) -> bool:
    """Whether a file is such a network of ours, by its header alone."""
    try:
        return read_header(path)[0].get("format") == FORMAT
    except MesascopeError:
        return False


def bundled() -> dict[str, Path]:
    """The networks that ship, by name."""
    return shipped(opens)


def family_of(path: str | os.PathLike) -> str:
    """The family that a network was trained on, with its settings."""
    return about(path if Path(path).is_file() else bundled().get(os.fspath(path), path))["family"]


def subject(family: Family, path: str = "") -> PlacesNetwork:
    """A recurrent network that is told where ball and paddles are, read from its .safetensors file.

    Args:
        family: what it is put to; it needs to tell these places.
        path: the file, or the name of a network that ships.
    """
    file = Path(path) if Path(path).is_file() else bundled().get(path, Path(path or "none"))
    said = about(file)
    if getattr(family, "places", ()) != PLACES or family.choices != said["choices"]:
        raise MesascopeError(
            f"{str(path)!r} is told where ball and paddles are; {family.name} does not tell.",
            f"Put it to its own family, {said['family']}.",
        )
    empty = eqx.filter_eval_shape(
        lambda: begun(jax.random.key(0), said["memory"], said["width"], said["choices"])
    )
    arrays, rest = eqx.partition(empty, lambda x: hasattr(x, "dtype"))
    network = eqx.combine(filled(file, arrays, lambda why: _broken(file, why)), rest)
    return PlacesNetwork(f"places_network:path={path}", said["trained_on"], network)


def about(path: str | os.PathLike) -> dict[str, Any]:
    """What a network's file says of it, checked.

    Raises:
        MesascopeError: not such a file, or what it says is missing or of another kind.
    """
    said = read_header(path)[0]
    if said.get("format") != FORMAT:
        raise _broken(path, f"its format is {said.get('format')!r}, not {FORMAT!r}")
    for key in ("family", "trained_on"):
        if not isinstance(said.get(key), str):
            raise _broken(path, f"its metadata has no text {key!r}")
    if said.get("memory") not in MEMORIES:
        raise _broken(path, f"its memory is {said.get('memory')!r}, none of {', '.join(MEMORIES)}")
    for key, least in (("width", 1), ("choices", 2)):
        if type(said.get(key)) is not int or not least <= said[key] <= 4096:
            raise _broken(path, f"its metadata has no whole number {key!r} in range")
    return said


def _broken(path: str | os.PathLike, reason: str) -> MesascopeError:
    return MesascopeError(
        f"{str(path)!r} is no network that is told places: {reason}.",
        f"Name a file that `mesascope train ppo_atari` wrote, or one that ships: {', '.join(bundled()) or 'none'}.",
    )
