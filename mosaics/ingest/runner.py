"""What reads doubtful files on behalf of the bank, wherever it does so."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from mosaics.ingest.source import Progress


class Runner(Protocol):
    """Calls functions on doubtful files, within limits; a context manager. `Sandbox` is one, here."""

    def run(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: Any,
        report: Progress,
        grows: Callable[[], Any] = int,
    ) -> Any:
        """Call `function(*arguments, report)` and give its result.

        Args:
            name: Of the file, for messages.
            function: A function that can be imported by name; arguments and result can be pickled.
            arguments: All but the last; files are named by a `Path`, in values or fields of dataclasses.
            report: Gets the progress that the function reports.
            grows: Another sign of life: as long as what it gives changes, the call counts as working. It can
                be pickled too.

        Raises:
            IngestError: The function's own, or that the call died, hung or passed a limit.
        """

    @property
    def threads(self) -> int:
        """How many one call may use to compress."""

    def close(self) -> None:
        """End what is still running."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
