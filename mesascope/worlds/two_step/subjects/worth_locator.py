"""Locates its task among the lifetimes of pay-offs in the bank of the two-step task."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.two_step.learning import Values, initial_state, last_trial, require_two_step

TRIED = "two_step:trials=12,bank=2"
EDGE = 1e-3  # pay-offs are kept this far from 0 and 1: no outcome is impossible


class WorthLocator(Scripted):
    """Log-likelihoods [N, M] of the bank's lifetimes; the bank and its seed are data."""

    steps: int
    usual: jax.Array
    bank_worth: jax.Array  # [M, T, 2, 2]

    def fresh(self, n: int) -> tuple[jax.Array, Values]:
        """Every lifetime of the bank is as likely as any other."""
        return jnp.zeros((n, len(self.bank_worth))), initial_state(n)

    def respond(self, key, carry, percept: Percept):
        """Weighs the lifetimes by what a state paid, then chooses what pays most on average over them now."""
        likely, held = carry
        trial, held = last_trial(percept, held, self.steps)
        worth = jnp.clip(self.bank_worth, EDGE, 1.0 - EDGE)
        when = jnp.clip(percept.trial - 1, 0, worth.shape[1] - 1)
        pays = worth[:, when, trial.place, trial.second].T  # [N, M]
        told = jnp.where(trial.paid[:, None] > 0.5, jnp.log(pays), jnp.log1p(-pays))
        likely = likely + jnp.where(trial.known[:, None], told, 0.0)
        now = jnp.clip(percept.trial, 0, worth.shape[1] - 1)
        mean = jnp.einsum("nm,mnso->nso", jax.nn.softmax(likely), worth[:, now])
        best = mean.max(-1)
        values = self.usual * best + (1.0 - self.usual) * best[:, ::-1]
        if self.steps == 2:
            here = mean[jnp.arange(len(held.place)), held.place]
            values = jnp.where((percept.step == 0)[:, None], values, here)
        return (likely, held), choose(key, jnp.log(greedy_probabilities(values)))


@keep_settings
def subject(family: Family) -> WorthLocator:
    """Locates its task among the lifetimes of pay-offs in the family's bank.

    Args:
        family: the two-step task, with a bank.
    """
    home = require_two_step(family)
    remedy = "Take --family two_step:bank=4."
    bank, worth = require_bank(home, home.bank_worth, "has no bank of lifetimes", remedy)
    return WorthLocator(home.steps, home.usual, worth, trained_on=bank)
