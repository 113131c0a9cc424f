"""One examination bench for all frameworks: references and native twins are lived once."""

from __future__ import annotations

import pytest

from tests.subjects.adapters.readings import FAMILY, Reader


@pytest.fixture(scope="session")
def reader():
    return Reader(FAMILY, 64)
