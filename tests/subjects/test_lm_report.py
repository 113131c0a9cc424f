"""A model behind an address from the command line to the page: placed, its numbers, what was asked word for word."""

from __future__ import annotations

import html
import json

import pytest

from subjects.lm_server import serving

pytest.importorskip("httpx", reason="needs the extra lm")


@pytest.mark.slow  # twenty seconds; CI runs it
def test_examine_over_an_address(tmp_path, capsys):
    from mesascope.cli.main import run_command

    out = tmp_path / "run"
    with serving("recogniser") as server:
        address = server.address.replace("http://", "http://me:hush@")
        subject = f"openai_api:path={address}?k=v,batch=64,cache={tmp_path / 'asked.jsonl'}"
        options = ["--family", "word_labels:labels=gold,trials=9", "--splits", "fresh", "--lifetimes", "64"]
        metrics = ["--metrics", "recognition_and_acquisition,unanswered,wording"]
        assert run_command(["examine", subject, *options, *metrics, "--out", str(out), "--json"]) == 0
        told = capsys.readouterr()
        asked = [p for r in server.seen if isinstance(r["body"]["prompt"], list) for p in r["body"]["prompt"]]
    assert "at most" in told.err and "questions" in told.err
    found = json.loads(told.out)["subjects"][0]
    assert found["placement"]["level"] == "reactive"  # it answers by the word that is shown
    by_name = {f["metric"]: f for f in found["findings"]}
    assert by_name["recognition_and_acquisition: recognition, accuracy"]["low"] > 0.4
    assert by_name["recognition_and_acquisition: acquisition, accuracy"]["estimate"] == 0
    assert (
        by_name["unanswered: refused"]["estimate"] == 0 and by_name["wording: gain over wordings"]["unit"] == "wording"
    )
    assert all(f["fingerprint"] == "not available" for f in found["findings"])
    page = (out / "report.html").read_text()
    assert "What was asked, word for word" in page and 'class="picture acquisition"' in page
    sent = max((p for p in asked if p.count("\n") == 9), key=lambda p: html.escape(p) in page)
    assert sent in html.unescape(page)
    assert page.count("<details>") >= 10  # one per condition
    assert "one response at a time: an empty context" in page
    for file in (*out.rglob("*"), tmp_path / "asked.jsonl"):
        if file.is_file():
            assert b"hush" not in file.read_bytes(), file
