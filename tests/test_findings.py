import json

import pytest

from mesascope.errors import MesascopeError
from mesascope.findings import Finding, from_dict, read_findings, to_dict

FIELDS = {
    "metric": "benefit",
    "question": "Does it help?",
    "subject": "thompson",
    "fingerprint": "abc",
    "family": "bernoulli_bandit",
    "split": "fresh",
    "settings": {"older_than": 4},
    "estimate": 0.5,
    "low": 0.4,
    "high": 0.6,
    "confidence": 0.95,
    "n": 64,
    "unit": "lifetime",
    "null": 0.0,
}


def test_it_goes_through_json_and_back():
    finding = Finding(**FIELDS, made={"when": "now"})
    assert from_dict(json.loads(json.dumps(to_dict(finding)))) == finding
    assert to_dict(finding)["format"] == "mesascope-finding/2"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"unit": ""}, "has no unit"),
        ({"low": None}, "has no interval"),
        ({"estimate": None}, "has no estimate"),
        ({"estimate": float("nan")}, "has no estimate"),
        ({"low": 0.55}, "does not contain its estimate"),
        ({"status": "maybe"}, "status is 'maybe'"),
        ({"status": "failed", "reason": ""}, "is not measured"),
    ],
)
def test_it_cannot_be_built_without_interval_and_unit(change, cause):
    with pytest.raises(MesascopeError, match=cause):
        Finding(**{**FIELDS, **change})


def test_fewer_than_three_units_have_no_interval_and_say_so():
    finding = Finding(**{**FIELDS, "n": 2, "low": None, "high": None})
    assert "too few for an interval" in finding.describe()
    assert "t interval" in Finding(**{**FIELDS, "n": 9}).describe()
    assert "exactly" in Finding(**{**FIELDS, "low": 0.5, "high": 0.5}).describe()


def test_reading_a_folder_and_refusing_what_is_not_ours(tmp_path):
    finding = Finding(**FIELDS)
    (tmp_path / "findings.json").write_text(json.dumps({"subjects": [{"findings": [to_dict(finding)]}]}))
    assert read_findings(tmp_path) == [finding]
    (tmp_path / "findings.json").write_text(json.dumps([{**to_dict(finding), "colour": "red"}]))
    with pytest.raises(MesascopeError, match="colour"):
        read_findings(tmp_path)
    (tmp_path / "findings.json").write_text("{")
    with pytest.raises(MesascopeError, match="is not JSON"):
        read_findings(tmp_path)


def test_a_notebook_shows_text_and_runs_nothing():
    shown = Finding(**{**FIELDS, "metric": "<script>alert(1)</script>"})._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown
