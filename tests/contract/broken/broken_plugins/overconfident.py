"""Its probabilities sum to more than 1."""

import jax.numpy as jnp
from outside_plugins.table import Table
from outside_plugins.table import subject as table


def subject(family) -> Table:
    """Its probabilities sum to more than 1."""
    sound = table(family)
    return Table("overconfident", "unlimited", sound.log_probs + jnp.log(1.5))
