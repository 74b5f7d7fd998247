"""What is remembered ends with what it hangs on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.hits.pair import Pair
from tests.server.hits.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_what_is_remembered_ends_with_what_it_hangs_on(
    either: Pair, scenario: Callable[[Pair], None]
) -> None:
    scenario(either)
