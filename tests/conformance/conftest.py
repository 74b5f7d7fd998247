"""Assertions outside of test modules tell what they compared, too."""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.conformance.wmts_{part}" for part in ("suite", "capabilities", "tiles", "info"))
)
