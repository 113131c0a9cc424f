"""Derives random keys from names and numbers, instead of splitting keys one after another."""

import functools
import zlib

import jax
import numpy as np


def derive_key(key: jax.Array, *parts: str | int | jax.Array) -> jax.Array:
    """Derives a key from another key and an address, which is a sequence of names and whole numbers.

    For the same key, equal addresses give equal keys, and different addresses give independent keys.

    Args:
        key: a JAX random key.
        parts: the names and numbers of the address, in order; names are hashed by CRC-32.
    """
    for part in parts:
        key = jax.random.fold_in(key, zlib.crc32(part.encode()) if isinstance(part, str) else part)
    return key


def derive_key_from_seed(seed: int, *parts: str | int) -> jax.Array:
    """Computes `derive_key(jax.random.key(seed), *parts)` in one compiled call."""
    codes = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts]
    return _fold_codes(seed, np.asarray(codes, np.uint32))


@jax.jit
def _fold_codes(seed: jax.Array, codes: jax.Array) -> jax.Array:
    """Derives a key from a seed and the codes [P] of the P parts of an address."""
    key = jax.random.key(seed)
    for i in range(codes.shape[0]):
        key = jax.random.fold_in(key, codes[i])
    return key


@functools.partial(jax.jit, static_argnums=(1, 2))
def draw_permutations(key: jax.Array, n: int, size: int) -> jax.Array:
    """Draws n independent random permutations of the numbers 0 to size - 1, as the rows of an array [n, size]."""
    return jax.vmap(lambda k: jax.random.permutation(k, size))(jax.random.split(key, n))
