"""Examinations that the tests share."""

from __future__ import annotations

import pytest
from report_cases import examined as examine
from report_cases import learner, locator, log

from mesascope.examination.examination import Examination

SPLITS = ("seen", "fresh", "shifted:low", "horizon:longer")


@pytest.fixture(scope="session")
def examined() -> list[Examination]:
    """A learner, and the locator of a bank of three."""
    return [examine(learner, "thompson", "unlimited", SPLITS), examine(locator, "locator", "bank:3@1", SPLITS)]


@pytest.fixture(scope="session")
def logged() -> Examination:
    """One log."""
    return log()
