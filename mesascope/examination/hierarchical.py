"""Fits learning models to all participants of a log at once, with partial pooling in NumPyro (extra `bayes`).

The parameters of a participant are drawn from the population of the participant's group. This population is a normal
distribution of the parameter's logit (rates and weights), of its logarithm (inverse temperatures), or of the parameter
itself (perseveration). The No-U-Turn sampler draws from the posterior.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jax import lax
from jax.nn import log_softmax, sigmoid

from mesascope.contracts import DoesNotApply
from mesascope.contracts.extras import import_optional_package as require_package
from mesascope.errors import MesascopeError, require, require_known_name
from mesascope.questions.procedures.histories import read_history
from mesascope.worlds.two_step.trial_arrays import read_two_step_trials

MODEL_PARAMETERS: dict[str, tuple[str, ...]] = {
    "rescorla_wagner": ("learning rate", "inverse temperature"),
    "sticky": ("learning rate", "inverse temperature", "perseveration"),
    "two_rates": ("rate after gains", "rate after losses", "inverse temperature", "perseveration"),
    "hybrid": ("learning rate", "eligibility", "model-based weight", "inverse temperature",
               "second inverse temperature", "perseveration"),
}  # fmt: skip
POPULATION_MEANS = {"unit": (0.0, 1.5), "positive": (1.0, 1.0), "real": (0.0, 1.0)}  # mean and sd of the normal prior
MIN_PARTICIPANTS = 3
PREDICTIVE_DRAWS = 100  # the number of posterior draws from which choices are predicted


def fit_hierarchical(
    trials: xr.Dataset, model: str = "sticky", *, draws: int = 500, chains: int = 2, seed: int = 0
) -> pd.DataFrame:
    """Fits a learning model to all participants of a log, with partial pooling.

    Args:
        trials: a log, as `read_log` returns it.
        model: 'rescorla_wagner'; 'sticky', which also has a perseveration; 'two_rates', with one learning rate for
            pay-offs above the expected pay-off and another for those below; or 'hybrid', the two-step model of Daw et
            al. 2011.
        draws: the number of draws of each chain; as many earlier draws tune the sampler and are discarded.
        chains: the number of chains.
        seed: the seed of the sampler.

    Returns:
        A table with the columns participant, group, parameter, estimate (the posterior mean), low and high (the ends of
        the central 95 % interval) and rhat. It has a row for each parameter of each participant, and of the population
        of each group (participant is then empty); the parameter of a population is the median over its members. If
        there are groups, further rows contain the differences between the population of the first group and those of
        the other groups. The last rows compare the model with the data: the share of first choices that are repeated
        after high and after low pay-offs, as observed and as the model predicts it from the trials before, with the
        posterior predictive interval.

    Raises:
        MesascopeError: NumPyro is not installed, no model has this name, the model cannot be applied to this kind of
            log, there are fewer than three participants, or a participant is in two groups.
    """
    require_known_name("model", model, MODEL_PARAMETERS)
    numpyro, infer = require_package("numpyro", "bayes"), require_package("numpyro.infer", "bayes")
    find_rhat = require_package("numpyro.diagnostics", "bayes").split_gelman_rubin
    dist = numpyro.distributions
    names, compute = (
        MODEL_PARAMETERS[model],
        _make_two_step_likelihood(trials) if model == "hybrid" else _make_choice_likelihood(trials, model),
    )
    owners = trials.participant.values if "participant" in trials.coords else np.arange(trials.sizes["lifetime"])
    people, unit = np.unique(owners, return_inverse=True)
    remedy = "Give a log with more participants."
    require(len(people) >= MIN_PARTICIPANTS, f"A population cannot be fitted to {len(people)} participants.", remedy)
    labels, group = np.unique(
        trials.group.values if "group" in trials.coords else np.full(len(owners), ""), return_inverse=True
    )
    first = np.unique(unit, return_index=True)[1]
    require(bool((group == group[first][unit]).all()), "A participant is in two groups.", "Fit the groups separately.")
    own_group = group[first]
    location, scale = np.array([POPULATION_MEANS[_find_range(name)] for name in names]).T

    def define_model() -> None:
        mean = numpyro.sample("mean", dist.Normal(location, scale).expand([len(labels), len(names)]).to_event(2))
        sd = numpyro.sample("sd", dist.HalfNormal(1.0).expand([len(names)]).to_event(1))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([len(people), len(names)]).to_event(2))
        own = numpyro.deterministic("own", mean[own_group] + sd * z)
        numpyro.factor("choices", compute(_transform_to_ranges(names, own[unit]))[0].sum())

    sampler = infer.MCMC(
        infer.NUTS(define_model), num_warmup=draws, num_samples=draws, num_chains=chains, chain_method="vectorized",
        progress_bar=False,
    )  # fmt: skip
    sampler.run(jax.random.key(seed))
    samples: Any = sampler.get_samples(group_by_chain=True)
    own, mean = (np.stack(_transform_to_ranges(names, samples[key]), -1) for key in ("own", "mean"))
    parts = [(person, labels[own_group[i]], own[:, :, i]) for i, person in enumerate(people)]
    parts += [("", label, mean[:, :, g]) for g, label in enumerate(labels)]
    parts += [("", f"{label} minus {labels[0]}", mean[:, :, g] - mean[:, :, 0]) for g, label in enumerate(labels) if g]
    rows = []
    for person, label, values in parts:
        low, high = np.quantile(values, (0.025, 0.975), (0, 1))
        for k, name in enumerate(names):
            ends = (values[..., k].mean(), low[k], high[k], find_rhat(values[..., k]))
            rows.append((person, label, name, *map(float, ends)))
    flat = samples["own"].reshape(-1, len(people), len(names))
    picked = flat[np.linspace(0, len(flat) - 1, PREDICTIVE_DRAWS).astype(int)][:, unit]
    predict = jax.jit(lambda values: compute(_transform_to_ranges(names, values))[1])
    rows += _predict_stays(trials, np.stack([predict(values).T for values in picked]), seed)
    return pd.DataFrame(rows, columns=["participant", "group", "parameter", "estimate", "low", "high", "rhat"])


def _predict_stays(trials: xr.Dataset, stay_probabilities: np.ndarray, seed: int) -> list[tuple[Any, ...]]:
    """Makes rows for the observed and the predicted share of repeated choices after high and after low pay-offs.

    Args:
        trials: the log, as `read_log` returns it.
        stay_probabilities: [D, N, T] the probability of repeating the last choice, for D posterior draws, on T trials
            of N lifetimes.
        seed: the seed of the predicted choices.
    """
    history = read_history(trials)
    paid = np.where(np.isfinite(trials.feedback.sel(condition="intact").values), history.payoff, np.nan)
    before = np.concatenate([np.full_like(paid[:, :1], np.nan), paid[:, :-1]], 1)
    counts = history.is_present & (history.last_choice.sum(-1) > 0) & np.isfinite(before)
    repeated = (history.choice_made * history.last_choice).sum(-1)
    middle = (np.nanmin(before) + np.nanmax(before)) / 2
    predicted = np.random.default_rng(seed).random(stay_probabilities.shape) < stay_probabilities
    rows = []
    for label, mask in (("high", counts & (before > middle)), ("low", counts & (before <= middle))):
        name, shares = f"stay after a {label} pay-off", predicted[:, mask].mean(-1)
        rows.append(("", "", f"{name}: observed", float(repeated[mask].mean()), np.nan, np.nan, np.nan))
        low, high = np.quantile(shares, (0.025, 0.975))
        rows.append(("", "", f"{name}: predicted", float(shares.mean()), float(low), float(high), np.nan))
    return rows


def _find_range(name: str) -> str:
    """Finds the range of a parameter: 'unit' (0 to 1), 'positive' or 'real'."""
    return "real" if name == "perseveration" else "positive" if "temperature" in name else "unit"


def _transform_to_ranges(names: tuple[str, ...], values: Any) -> list[Any]:
    """Transforms the parameters on the last axis of `values` to their ranges, and returns one array per parameter."""
    into = {"unit": sigmoid, "positive": jnp.exp, "real": lambda x: x}
    return [into[_find_range(name)](values[..., k]) for k, name in enumerate(names)]


def _make_choice_likelihood(trials: xr.Dataset, model: str) -> Any:
    """Makes the likelihood function of a model for trials with one choice.

    The function takes a list of the model's parameters, each an array [N] with one value per lifetime. It returns two
    arrays [T, N], one with the log-likelihood of every choice, and one with the probability of repeating the choice
    before.
    """
    history = read_history(trials)
    has_feedback = np.isfinite(trials.feedback.sel(condition="intact").values)
    offered = trials.offered.values if "offered" in trials else np.ones(history.choice_made.shape)
    blocked = np.where(offered > 0, 0.0, -1e9).astype(np.float32)
    arrays = (history.choice_made, history.payoff, has_feedback, history.is_present, history.last_choice, blocked)
    by_trial = tuple(jnp.asarray(np.moveaxis(np.asarray(x, np.float32), 1, 0)) for x in arrays)

    def compute(parameters: list[Any]) -> Any:
        *rates, beta = parameters[:-1] if model != "rescorla_wagner" else parameters
        kappa = parameters[-1] if model != "rescorla_wagner" else jnp.zeros_like(beta)
        up, down = rates[0], rates[-1]

        def step(value, trial):
            choice_made, paid, has_paid, counts, last, is_blocked = trial
            log_p = log_softmax(beta[:, None] * value + kappa[:, None] * last + is_blocked)
            error = paid[:, None] - value
            change = jnp.where(error > 0, up[:, None], down[:, None]) * error * choice_made * has_paid[:, None]
            return value + change, ((log_p * choice_made).sum(-1) * counts, (jnp.exp(log_p) * last).sum(-1))

        start = jnp.full(history.choice_made[:, 0].shape, 0.5)
        return lax.scan(step, start, by_trial)[1]

    return compute


def _make_two_step_likelihood(trials: xr.Dataset) -> Any:
    """Makes the likelihood function for two-step trials, as `_make_choice_likelihood` does for other trials."""
    try:
        steps = read_two_step_trials(trials)
    except DoesNotApply as reason:
        raise MesascopeError(f"The model 'hybrid' does not fit this log: {reason}.", "Choose another model.") from None
    paid = np.where(steps.is_complete, steps.payoff, np.nan)
    paid = np.nan_to_num((paid - np.nanmin(paid)) / max(np.nanmax(paid) - np.nanmin(paid), 1e-9))
    common = steps.transition[steps.is_complete].mean()
    first = np.where(steps.is_complete, steps.first_choice, 0)
    arrays = (first, steps.state, steps.second_choice, paid, steps.is_complete)
    by_trial = tuple(jnp.asarray(np.moveaxis(np.asarray(x), 1, 0)) for x in arrays)
    has_second = "second_action" in trials
    n = len(first)

    def compute(parameters: list[Any]) -> Any:
        rate, trace, weight, beta, second_beta, kappa = parameters
        everyone = jnp.arange(n)

        def step(carry, trial):
            free, second_values, last = carry  # [N, 2], [N, 2, 2], [N, 2]
            choice, state, second, payoff, counts = trial
            best = second_values.max(-1)
            planned = jnp.stack([common * best[:, k] + (1 - common) * best[:, 1 - k] for k in (0, 1)], -1)
            mixed = weight[:, None] * planned + (1 - weight)[:, None] * free
            log_first = log_softmax(beta[:, None] * mixed + kappa[:, None] * last)
            log_p, stay = log_first[everyone, choice], (jnp.exp(log_first) * last).sum(-1)
            own = second_values[everyone, state]
            if has_second:
                log_p += log_softmax(second_beta[:, None] * own)[everyone, second]
            value = own[everyone, second]
            error = payoff - value
            change = rate * ((value - free[everyone, choice]) + trace * error) * counts
            free = free.at[everyone, choice].add(change)
            second_values = second_values.at[everyone, state, second].add(rate * error * counts)
            last = jnp.where(counts[:, None], jax.nn.one_hot(choice, 2), last)
            return (free, second_values, last), (log_p * counts, stay)

        start = (jnp.full((n, 2), 0.5), jnp.full((n, 2, 2), 0.5), jnp.zeros((n, 2)))
        return lax.scan(step, start, by_trial)[1]

    return compute
