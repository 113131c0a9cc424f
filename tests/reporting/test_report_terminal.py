"""The terminal: within 80 columns, and no markup or control character acts."""

from __future__ import annotations

import dataclasses
import io

from report_cases import log
from rich.cells import cell_len
from rich.console import Console

from mesascope.reporting.terminal import summarise


def printed(examinations, width=80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False, color_system=None).print(summarise(examinations))
    return out.getvalue()


def test_shows_the_placement_within_80_columns(examined, logged):
    long = dataclasses.replace(
        examined[0],
        subject="網" * 90,
        placement=dataclasses.replace(examined[0].placement, lowest="locating", highest="general"),
    )
    text = printed([*examined, long, logged])
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    for e in examined:
        assert e.subject in text
        assert e.placement.lowest in text
        assert " ".join(e.placement.reason.split()) in " ".join(text.split())
    assert "… general" in text
    assert "not placed" in text
    assert "realised pay-off" in text


def test_text_of_users_does_not_act(examined):
    name = "[bold red]x[/] \x1b[2J\r\u202e"
    odd = dataclasses.replace(
        examined[0], subject=name, placement=dataclasses.replace(examined[0].placement, reason="[link=x]y \x07")
    )
    text = printed([odd, log("[/nothing]")])
    assert "[bold red]x[/]" in text
    assert "[link=x]y \ufffd" in text
    assert "[/nothing]" in text
    assert not set(text) & set("\x1b\x07\r\u202e")
