"""Where its acts led so far, times what ends are shown to pay (Dayan 1993); a changed tree reaches it by walking."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, keep_settings
from mesascope.worlds.trees.trees import require_trees, shown

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class TreeSuccessor(Scripted):
    """Carries [N, M, 2, M] the ends that each act at each node led to, and the node of the last act [N]."""

    nodes: int
    hope: jax.Array
    lapse: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """No act has led anywhere."""
        return jnp.zeros((n, self.nodes, 2, self.nodes)), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Takes in where the last act led, then takes the act whose ends pay more; of an untried one it hopes."""
        led, last = carry
        tree = shown(percept)
        rows, amid = jnp.arange(len(last)), (percept.action >= 0) & (percept.step > 0)
        ended = (percept.action >= 0) & (percept.step == 0)
        action = jnp.maximum(percept.action, 0)
        brings = jnp.einsum("nmae,ne->nma", led, tree.pays)
        worth = jnp.where(led.sum(-1) > 0, brings, self.hope)
        better = worth[rows, tree.node].argmax(-1)
        onwards = led[rows, tree.node, better]
        # the root is shown again once an end is reached: the end is the one that pays what was paid
        end = jax.nn.one_hot(jnp.abs(tree.pays - percept.feedback[:, None]).argmin(-1), self.nodes)
        followed = jnp.where(ended[:, None], end, onwards)
        old = led[rows, last, action]
        led = led.at[rows, last, action].set(jnp.where((amid | ended)[:, None], followed, old))
        brings = jnp.einsum("nae,ne->na", led[rows, tree.node], tree.pays)
        here = jnp.where(led[rows, tree.node].sum(-1) > 0, brings, self.hope)
        return (led, tree.node), choose(key, mix_lapse(greedy_probabilities(here), self.lapse))


@keep_settings(hope=(0, 1), lapse=(0, 1))
def subject(family: Family, hope: float = 0.8, lapse: float = 0.0) -> TreeSuccessor:
    """Follows what ends are shown to pay, by where its own acts led so far.

    Args:
        family: the trees.
        hope: what an act that was never tried is thought to bring.
        lapse: part of the choices that is even over both acts.
    """
    return TreeSuccessor(require_trees(family).nodes, **as_arrays(hope=hope, lapse=lapse))
