"""Whatever the rows, the order, the codes and the bytes: what is read holds; and people's own choices."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mesascope.errors import MesascopeError
from mesascope.logs import read_log
from mesascope.trials import check_trials

# Properties.

LOGS = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9)), min_size=1, max_size=6), min_size=1, max_size=5
).filter(lambda lives: max(map(len, lives)) > 1 and len({a for life in lives for a, _ in life}) == 4)
QUICK = settings(max_examples=30, deadline=None)


def framed(lives, shift=0, name=lambda i: i) -> pd.DataFrame:
    rows = [(name(i), t, a + shift, r) for i, life in enumerate(lives) for t, (a, r) in enumerate(life)]
    return pd.DataFrame(rows, columns=["subject", "trial", "choice", "reward"])


@given(LOGS, st.integers(0, 2**32 - 1))
@QUICK
def test_the_order_of_rows_changes_nothing(lives, seed):
    frame = framed(lives)
    one, notes = read_log(frame)
    two, other = read_log(frame.sample(frac=1, random_state=seed))
    assert one.identical(two)
    assert notes == other


@given(LOGS)
@QUICK
def test_codes_from_one_or_from_zero_are_the_same(lives):
    xr.testing.assert_equal(read_log(framed(lives))[0], read_log(framed(lives, shift=1))[0])


@given(LOGS, st.permutations(range(5)))
@QUICK
def test_names_of_participants_change_nothing(lives, order):
    one, notes = read_log(framed(lives))
    two, other = read_log(framed(lives, name=lambda i: f"Subject {i + 7}"))
    assert one.identical(two)
    assert notes == other
    three, _ = read_log(framed(lives, name=lambda i: f"x{order[i]}"))  # another order of ids, the same lifetimes
    back = np.argsort(np.argsort(order[: len(lives)]))
    np.testing.assert_array_equal(three.action.values[:, back], one.action.values)
    np.testing.assert_array_equal(three.feedback.values[:, back], one.feedback.values)


@given(LOGS)
@QUICK
def test_every_row_is_found_again(lives):
    data, _ = read_log(framed(lives))
    for i, life in enumerate(lives):
        assert data.action.values[0, i, : len(life)].tolist() == [a for a, _ in life]
        assert data.feedback.values[0, i, : len(life)].tolist() == [r for _, r in life]
        assert (data.action.values[0, i, len(life) :] == -1).all()
        assert np.isnan(data.feedback.values[0, i, len(life) :]).all()


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
@pytest.mark.parametrize("suffix", [".csv", ".txt", ".jsonl"])
def test_any_bytes_are_read_or_refused(tmp_path_factory, suffix, content):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    with pytest.raises(MesascopeError):
        read_log(path)


CELLS = st.sampled_from(["1", "2", "-1", "", "x", "1.5", "inf", "NA", '"', "9e99", "é"])


@given(st.lists(st.lists(CELLS, min_size=2, max_size=5), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_any_cells_are_read_or_refused(tmp_path_factory, cells):
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    path.write_text("choice,reward,trial\n" + "\n".join(map(",".join, cells)))
    with contextlib.suppress(MesascopeError):
        check_trials(read_log(path)[0])


# Human data, read from an installed copy.


def said(notes: list[str], *words: str) -> None:
    assert any(all(w in note for w in words) for note in notes), notes


def human(name: str) -> Path:
    spec = importlib.util.find_spec("hbayesdm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("hbayesdm is not installed: pip install --no-deps hbayesdm")
    path = Path(spec.submodule_search_locations[0]) / "common" / "extdata" / f"{name}_exampleData.txt"
    if not path.is_file():
        pytest.skip(f"this hbayesdm holds no {path.name}")
    return path


def test_people_on_two_arms_come_to_avoid_the_worse_one():
    data, notes = read_log(human("bandit2arm"))
    assert data.action.shape == (1, 20, 100)
    assert (data.action.values >= 0).all()
    assert data.attrs["unit"] == "participant"
    assert len(set(data.participant.values)) == 20
    assert set(np.unique(data.feedback)) == {-1.0, 1.0}
    second = (data.action.values[0] == 1).astype(float)
    assert second[:, :50].mean() - second[:, 50:].mean() > 0.02
    assert second.mean(1).shape == (20,)
    said(notes, "1-based")


def test_people_on_four_arms_with_gains_and_losses():
    data, notes = read_log(human("bandit4arm"))
    assert data.action.shape == (1, 10, 200)
    assert data.attrs["choices"] == 4
    assert np.unique(data.action).tolist() == [0, 1, 2, 3]
    said(notes, "'gain' minus the size of 'loss'")
    said(notes, "order of the rows")
