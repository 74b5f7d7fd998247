"""Many bytes in one piece: what a table holds of outlines and records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Blobs:
    """Many bytes, one after the other in one piece."""

    data: bytes
    ends: NDArray[np.int64]
    """Where each ends; shape (n,)."""

    @classmethod
    def of(cls, parts: Sequence[bytes]) -> Blobs:
        """Put them together."""
        return cls(b"".join(parts), np.cumsum([len(part) for part in parts], dtype=np.int64))

    def at(self, row: int) -> bytes:
        """Give one."""
        return self.data[int(self.ends[row - 1]) if row else 0 : int(self.ends[row])]

    def some(self, rows: Iterable[int]) -> list[bytes]:
        """Give some."""
        return [self.at(int(row)) for row in rows]

    def all(self) -> list[bytes]:
        """Give all."""
        ends = self.ends.tolist()
        return [self.data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def followed_by(self, other: Blobs) -> Blobs:
        """Put those of two together."""
        return Blobs(self.data + other.data, np.concatenate((self.ends, other.ends + len(self.data))))
