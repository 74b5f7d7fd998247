from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tests.object_store import gate, store  # noqa: F401 - fixtures
