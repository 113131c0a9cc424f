"""Logs that other packages carry, and the schema of ArviZ. No row of them stands here."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mesascope.catalogue import make
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.examination.measurement import apply_metrics
from mesascope.logs import read_log
from mesascope.logs.datatree import save_datatree, to_datatree
from mesascope.logs.sets import import_data_set, list_data_sets


def held(source: str, folder: Path) -> Path:
    """The copy of a data set, where its package is installed."""
    try:
        return Path(import_data_set(source, folder)["path"])
    except MesascopeError as error:
        pytest.skip(f"{source}: {error}")


def carried(tmp_path, monkeypatch, name="hbayesdm", version="9.8", files=()):
    """An installed package that fails when it is imported."""
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / f"{name}-{version}.dist-info").mkdir()
    (tmp_path / f"{name}-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    for file, text in files:
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))


def asked(log: xr.Dataset, *metrics: str):
    """What a few metrics find in a log, by name."""
    return {f.metric: f for f in apply_metrics([make("metrics", p) for p in metrics], {"logged": log})}


TABLE = "subjID\ttrial\tchoice\toutcome\n" + "".join(
    f"{who}\t{t + 1}\t{1 + (t * who) % 2}\t{1 - 2 * (t % 2)}\n" for who in (3, 8, 5) for t in range(7)
)


def test_a_log_is_copied_and_its_package_never_imported(tmp_path, monkeypatch, capsys):
    file = list_data_sets()["hbayesdm:bandit2arm"]["file"]
    carried(tmp_path / "site", monkeypatch, files=[(file, TABLE)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run_command(["data", "import", "hbayesdm:bandit2arm", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == "9.8" and told["licence"] == "GPL-3.0"
    path = Path(told["path"])
    assert path == tmp_path / "cache" / "mesascope" / "data" / "hbayesdm_bandit2arm.txt"
    assert path.read_text() == TABLE
    assert told["sha256"] == hashlib.sha256(TABLE.encode()).hexdigest()
    beside = json.loads(path.with_suffix(".source.json").read_text())
    assert beside == {k: v for k, v in told.items() if k != "path"}
    assert run_command(["data", "import", "hbayesdm:bandit2arm"]) == 0
    out = capsys.readouterr().out
    assert "GPL-3.0" in out and "mesascope measure" in out
    assert "hbayesdm" not in sys.modules
    assert read_log(path)[0].attrs["subject"] == "hbayesdm_bandit2arm"


def test_what_is_lacking_is_said(tmp_path, monkeypatch, capsys):
    with pytest.raises(MesascopeError, match=r"There is no data set 'hbayesdm:tss'.*hbayesdm:ts"):
        import_data_set("hbayesdm:tss", tmp_path)
    monkeypatch.setattr("mesascope.logs.sets.version", _absent)
    with pytest.raises(MesascopeError, match=r"AGPL-3.0-only.*pip install --no-deps cpm-toolbox"):
        import_data_set("cpm:bandit_small", tmp_path)
    monkeypatch.undo()
    carried(tmp_path / "site", monkeypatch)
    with pytest.raises(MesascopeError, match=r"hbayesdm 9\.8 does not contain common/extdata/ts_exampleData\.txt"):
        import_data_set("hbayesdm:ts", tmp_path)
    assert run_command(["data", "import", "hbayesdm:ts"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_to_is_said(tmp_path, monkeypatch):
    carried(tmp_path / "site", monkeypatch, files=[(list_data_sets()["hbayesdm:prl"]["file"], TABLE)])
    (tmp_path / "file").write_text("")
    with pytest.raises(MesascopeError, match="XDG_CACHE_HOME"):
        import_data_set("hbayesdm:prl", tmp_path / "file")


def _absent(name):
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(name)


def test_no_row_of_theirs_is_here(tmp_path):
    """The files of the repository hold no line of the data."""
    root = Path(__file__).parents[1]
    for source in list_data_sets():
        rows = [line for line in held(source, tmp_path).read_text().splitlines()[1:] if len(line) > 20]
        long = set(rows[:50])
        for path in [*root.glob("mesascope/logs/*"), *root.glob("docs/*.md"), *root.glob("tests/test_logs*.py")]:
            if path.is_file():
                assert not long & set(path.read_text(encoding="utf-8").splitlines()), path


def test_two_step_choices_of_people(tmp_path):
    log, notes = read_log(held("hbayesdm:ts", tmp_path))
    found = asked(log, "stay_probabilities")
    published = {"rewarded, common": 0.852, "rewarded, rare": 0.741}
    published |= {"unrewarded, common": 0.593, "unrewarded, rare": 0.799}
    frame = pd.read_csv(tmp_path / "hbayesdm_ts.txt", sep="\t")
    frame["cell"] = [
        f"{'rewarded' if r else 'unrewarded'}, {'common' if (s > 2) == (a > 1) else 'rare'}"
        for a, s, r in zip(frame.level1_choice, frame.level2_choice, frame.reward, strict=True)
    ]
    after = frame.groupby("subjID").level1_choice.shift(-1)
    as_published = (after == frame.level1_choice).groupby(frame.cell).mean()  # a last trial counts as a switch
    known = frame[after.notna()]
    proper = (after[after.notna()] == known.level1_choice).groupby(known.cell).mean()
    told = {k.partition("after ")[2]: f for k, f in asked(log, "stay_probabilities:end=switch").items()}
    for cell, value in published.items():
        got = found[f"stay_probabilities: stay after {cell}"]
        assert (got.n, got.unit) == (11, "participant")
        assert got.estimate == pytest.approx(proper[cell])
        assert got.reason.startswith(f"{value:.3f} where")
        assert told[cell].estimate == pytest.approx(as_published[cell])
        assert round(told[cell].estimate, 3) == value
    assert found["stay_probabilities: MB index"].low > 0
    assert any("Common transitions: 0.707" in n for n in notes)


@pytest.mark.parametrize(("source", "people"), [("hbayesdm:bandit2arm", 20), ("hbayesdm:bandit4arm", 10)])
def test_bandits_of_people_give_findings(source, people, tmp_path):
    log, notes = read_log(held(source, tmp_path))
    lacking = ("performance", "regret", "locate_or_learn", "share_of_reference", "benefit", "stay_probabilities")
    found = asked(log, "stay_by_feedback", "adaptation", "exploration", *lacking)
    for metric in lacking:
        assert found.pop(metric).status == "does not apply"
    assert {(f.status, f.unit, f.n) for f in found.values()} == {("measured", "participant", people)}
    assert found["stay_by_feedback"].low > 0  # people repeat what paid
    assert found["adaptation"].reason == "realised pay-off"
    assert any("the realised pay-off" in n for n in notes)


def test_arms_shown_in_pairs_pay_as_the_package_says(tmp_path):
    data, _ = read_log(held("cpm:bandit_small", tmp_path))
    action, paid = data.action.values[0], data.feedback.values[0]
    assert [round(float(paid[action == k].mean()), 1) for k in range(4)] == [0.8, 0.6, 0.4, 0.2]
    assert len(np.unique(data.participant)) == 200
    assert (data.offered.values.sum(-1)[action >= 0] == 2).all()


def small() -> xr.Dataset:
    rows = [(w, t, 1 + (t + w) % 3, t % 2, 0.1 * t) for w in range(4) for t in range(5 + w)]
    frame = pd.DataFrame(rows, columns=["participant", "trial", "choice", "reward", "score"])
    return read_log(frame)[0]


def test_the_schema_of_arviz(tmp_path):
    data = small()
    path = save_datatree(data, tmp_path / "new" / "log.nc")
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert set(tree.children) == {"observed_data", "constant_data"}
        assert tree.attrs["creation_library"] == "mesascope"
        done, met = (tree[g].to_dataset().load() for g in ("observed_data", "constant_data"))
    assert set(done) == {"action"} and set(met) == {"feedback", "score", "participant"}
    np.testing.assert_array_equal(done.action, data.action.values[0])
    np.testing.assert_array_equal(met.feedback, data.feedback.values[0])
    assert done.action.dims == met.feedback.dims == ("lifetime", "trial")
    assert done.lifetime.values.tolist() == [0, 1, 2, 3] and done.trial.values[-1] == 7
    assert met.participant.values.tolist() == [0, 1, 2, 3]
    with pytest.raises(MesascopeError, match="cannot be written"):
        save_datatree(data, path / "below.nc")


def test_arviz_below_1_reads_it(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # arviz 0.23 announces arviz 1 at import
        arviz = pytest.importorskip("arviz", reason="arviz is not installed", exc_type=ImportError)
    if not hasattr(arviz, "InferenceData"):
        pytest.skip("this arviz is 1 or above")
    data = small()
    read = arviz.from_netcdf(str(save_datatree(data, tmp_path / "log.nc")))
    assert set(read.groups()) == {"observed_data", "constant_data"}
    np.testing.assert_array_equal(read.observed_data.action, data.action.values[0])
    same = arviz.InferenceData.from_datatree(to_datatree(data))
    np.testing.assert_array_equal(same.constant_data.feedback, data.feedback.values[0])


def test_arviz_from_1_on_reads_it(tmp_path):
    base = pytest.importorskip("arviz_base", reason="arviz-base, the base of arviz 1, is not installed")
    data = small()
    tree = base.convert_to_datatree(str(save_datatree(data, tmp_path / "log.nc")))
    np.testing.assert_array_equal(tree["observed_data"]["action"], data.action.values[0])


def test_a_log_is_exported_from_the_command_line(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    small().to_dataframe().reset_index().rename(columns={"lifetime": "run"})[
        ["participant", "trial", "action", "feedback"]
    ].dropna().rename(columns={"action": "key"}).to_json(log, orient="records", lines=True)
    out = tmp_path / "log.nc"
    assert run_command(["data", "export", str(log), "--columns", "action=key", "--out", str(out), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"path": str(out)}
    assert "26 rows" in told.err
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        np.testing.assert_array_equal(tree["observed_data"]["action"], small().action.values[0])
    assert run_command(["data", "export", str(log), "--columns", "action", "--out", str(out)]) == 2
    assert run_command(["data", "list", "--json"]) == 0
    assert {row["source"] for row in json.loads(capsys.readouterr().out)} == set(list_data_sets())
