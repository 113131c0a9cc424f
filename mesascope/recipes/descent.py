"""Optimisation for the recipes: Adam on minibatches of lifetimes, and checks of the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import check_range, convert_to_arrays
from mesascope.errors import require
from mesascope.keys import derive_key

Number = float | jax.Array
Loss = Callable[[Recurrent, Any], jax.Array]  # the loss [] of a network on some of the lifetimes of a batch
MAX_GRADIENT_NORM = 0.5  # the norm to which gradients are clipped
NO_LIMIT = float("inf")
SETTING_RANGES = {  # the ranges of settings that several recipes have
    **dict.fromkeys(("updates", "lifetimes", "epochs", "minibatches", "games"), (1, NO_LIMIT)),
    **dict.fromkeys(("rate", "final_rate", "entropy_weight", "critic_weight", "clip"), (0.0, 10.0)),
    **dict.fromkeys(("discount", "gae_lambda"), (0.0, 1.0)),
    "seed": (0, NO_LIMIT),
}
ADAM = optax.chain(optax.clip_by_global_norm(MAX_GRADIENT_NORM), optax.scale_by_adam(eps=1e-5))


class UpdateSettings(NamedTuple):
    """The settings of an update.

    The code is compiled again for other values of the integers `epochs` and `minibatches`. JAX traces the other
    settings, so their values can change without another compilation. A setting that a recipe does not have is None.

    Attributes:
        updates: the number of updates in the training run.
        rate: Adam's step size before the first update; it falls linearly.
        final_rate: Adam's step size at the end.
        epochs: the number of passes over a batch.
        minibatches: the number of parts of a batch; each is one step of Adam.
        entropy_weight: the weight of the policy's entropy before the first update; it falls linearly to 0.
        critic_weight: the weight of the critic's squared error.
        discount: the discount of future reward, per step.
        gae_lambda: λ of the generalised advantage estimate.
        clip: how far the ratio of an action's new to its old probability can depart from 1 before it is clipped.
    """

    updates: Any
    rate: Any
    final_rate: Any
    epochs: int = 1
    minibatches: int = 1
    entropy_weight: Any = None
    critic_weight: Any = None
    discount: Any = None
    gae_lambda: Any = None
    clip: Any = None

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> UpdateSettings:
        """Makes the settings of an update from a recipe's settings."""
        fields: dict[str, Any] = {k: v for k, v in settings.items() if k in cls._fields}
        counts = {k: fields.pop(k) for k in ("epochs", "minibatches") if k in fields}
        return cls(**counts, **convert_to_arrays(**fields))


def make_adam_state(network: Recurrent) -> Any:
    """Makes Adam's state before the first step."""
    return ADAM.init(eqx.filter(network, eqx.is_array))


def interpolate(start: Number, end: Number, updates_done: jax.Array, total: Number) -> jax.Array:
    """Interpolates linearly from `start` before the first update to `end` after the last one."""
    return start + (end - start) * updates_done / total


def minimise(
    key: jax.Array,
    network: Recurrent,
    adam_state: Any,
    batch: Any,
    *,
    loss: Loss,
    update_settings: UpdateSettings,
    updates_done: jax.Array,
) -> tuple[Recurrent, Any]:
    """Minimises a loss, with one step of Adam for each minibatch.

    Args:
        key: the key of the random order of the lifetimes.
        network: the network before these steps.
        adam_state: Adam's state before these steps.
        batch: arrays with the lifetimes on axis 1.
        loss: loss(network, minibatch) returns a scalar array.
        update_settings: the settings of the update, of which the step sizes and the numbers of passes over the batch
            and of minibatches are used. Every pass has a new random order.
        updates_done: the number of updates before this one.

    Returns:
        The network and Adam's state after these steps.
    """
    arrays, static = eqx.partition(network, eqx.is_array)
    lifetimes = jax.tree.leaves(batch)[0].shape[1]
    rate = interpolate(update_settings.rate, update_settings.final_rate, updates_done, update_settings.updates)

    def take_step(state, rows):
        arrays, adam_state = state
        minibatch = jax.tree.map(lambda x: x[:, rows], batch)
        gradient = jax.grad(lambda a: loss(eqx.combine(a, static), minibatch))(arrays)
        direction, adam_state = ADAM.update(gradient, adam_state)
        return (jax.tree.map(lambda a, d: a - rate * d, arrays, direction), adam_state), None

    orders = [jax.random.permutation(derive_key(key, "order", i), lifetimes) for i in range(update_settings.epochs)]
    rows = jnp.concatenate(orders).reshape(update_settings.epochs * update_settings.minibatches, -1)
    (arrays, adam_state), _ = jax.lax.scan(take_step, (arrays, adam_state), rows)
    return eqx.combine(arrays, static), adam_state


def collect_settings(arguments: dict[str, Any], **ranges: tuple[float, float]) -> dict[str, Any]:
    """Collects and checks the settings of a recipe: all its arguments except `family`, `out` and `progress`."""
    settings = {k: v for k, v in arguments.items() if k not in ("family", "out", "progress")}
    check_settings(settings, **ranges)
    return settings


def check_settings(settings: dict[str, Any], **ranges: tuple[float, float]) -> None:
    """Raises MesascopeError if a setting is out of range, or if the minibatches cannot be of equal size.

    Args:
        settings: the values of a recipe's settings, by name.
        ranges: the smallest and the largest value of settings that are not in SETTING_RANGES, by name.
    """
    for name, (low, high) in {**{k: v for k, v in SETTING_RANGES.items() if k in settings}, **ranges}.items():
        check_range(low, high, **{name: settings[name]})
    lifetimes, minibatches = settings.get("lifetimes", 0), settings.get("minibatches", 1)
    problem = f"lifetimes={lifetimes} cannot be split into minibatches={minibatches}."
    require(lifetimes % minibatches == 0, problem, "Give a multiple.")
