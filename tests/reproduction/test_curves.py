"""A panel of curves: one line per subject along the values that a quantity's name was made from."""

from __future__ import annotations

from matplotlib.figure import Figure

from mesascope.reproduction import figures, plans


def test_a_curve_goes_along_the_values_of_its_quantity():
    study = plans.load_study("thinking_time", quick=True)
    panel, ax = study.panels[0], Figure().add_subplot()
    assert panel["draw"] == "curves" and panel["along"] == ["8", "24"]
    told = {
        (quantity, subject): {"ours": 0.1 * i + 0.01 * j, "by_seed": [0.1 * i, None]}
        for i, quantity in enumerate(panel["quantities"])
        for j, subject in enumerate(panel["groups"][0]["names"])
    }
    figures.DRAWERS["curves"](ax, panel, told, {})
    whole = ax.lines[0]
    assert whole.get_label() == "recurrent network"
    assert whole.get_xdata().tolist() == [0, 1] and whole.get_ydata().tolist() == [0.0, 0.1]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["8", "24"]
    assert ax.lines[1].get_ydata().tolist() == [0.0, 0.1]  # the one seed that there is
