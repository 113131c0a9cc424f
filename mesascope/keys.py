"""Random keys addressed by name and number, never used up in order."""

from __future__ import annotations

import zlib

import jax


def address(key: jax.Array, *parts: str | int | jax.Array) -> jax.Array:
    """The key at an address: the same parts always give the same key, other parts an independent one.

    Args:
        key: a JAX random key.
        parts: names (hashed by CRC-32) and whole numbers, in order.
    """
    for part in parts:
        key = jax.random.fold_in(key, zlib.crc32(part.encode()) if isinstance(part, str) else part)
    return key
