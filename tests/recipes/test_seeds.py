"""Several seeds in one call: two at a time, the same bytes as one by one."""

import pytest

from mesascope.errors import MesascopeError
from mesascope.recipes.training import MAX_SEED, train
from tests.recipes.cases import SMALL, TINY

TEXT = "ppo_recurrent:" + ",".join(f"{k}={v}" for k, v in TINY["ppo_recurrent"].items())


def test_several_seeds_are_those_that_are_trained_one_by_one(tmp_path):
    told = []

    def tell(share: float, doing: str) -> None:
        told.append((share, doing))

    paths = train(f"{TEXT},seed=4", SMALL, tmp_path / "all", seeds=3, progress=tell)
    assert [p.parent.name for p in paths] == ["seed-4", "seed-5", "seed-6"]
    assert [share for share, _ in told] == pytest.approx([i / 9 for i in range(1, 10)])
    assert all(any(f"seed {s}: update 3 of 3" in doing for _, doing in told) for s in (4, 5, 6))
    for seed, path in zip((4, 5, 6), paths, strict=True):
        (alone,) = train(f"{TEXT},seed={seed}", SMALL, tmp_path / str(seed))
        assert alone.read_bytes() == path.read_bytes()
    assert len({p.read_bytes() for p in paths}) == 3


def test_an_interruption_stops_all_seeds_and_what_they_had_is_kept(tmp_path):
    def interrupt(share: float, doing: str) -> None:
        if "update 2" in doing:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TEXT, SMALL, tmp_path / "parts", seeds=3, progress=interrupt)
    assert (tmp_path / "parts" / "seed-0" / "checkpoint.safetensors").exists()
    paths = train(TEXT, SMALL, tmp_path / "parts", seeds=3)
    whole = train(TEXT, SMALL, tmp_path / "whole", seeds=3)
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in whole]


def test_a_mistake_in_one_is_told_once_and_ends_the_call(tmp_path):
    with pytest.raises(MesascopeError, match="epochs=0"):
        train("ppo_recurrent:epochs=0", SMALL, tmp_path, seeds=3)
    with pytest.raises(MesascopeError, match="out of range"):
        train(f"ppo_recurrent:seed={MAX_SEED}", SMALL, tmp_path, seeds=2)
