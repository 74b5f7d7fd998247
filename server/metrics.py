"""Prometheus metrics of all workers, low in cardinality: never a key, a layer or an address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MOST_PENDING = 1000
"""Answers that are observed but not yet in the metrics."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts answers; with a folder, the sums are over all workers (prometheus_client's files)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._pending: list[tuple[str, int, float, int]] = []
        self._series: dict[tuple[str, int], tuple[Counter, Histogram, Counter]] = {}
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "flux_http_answers", "Answers by route and status.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "flux_http_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=self._registry
        )
        self._bytes = Counter("flux_http_bytes", "Bytes of bodies sent.", ["route"], registry=self._registry)
        self._dropped = Counter(
            "flux_gateway_headers_dropped",
            "Requests whose sec-* headers were not believed.",
            ["reason"],
            registry=self._registry,
        )
        self._fetches = Counter(
            "flux_issuer_fetches",
            "Times that the keys of identity providers were asked for.",
            ["result"],
            registry=self._registry,
        )

        self._gone = Counter(
            "flux_http_clients_gone",
            "Clients that went away while their answer was being made.",
            ["route"],
            registry=self._registry,
        )

    def observe(self, route: str, status: int, seconds: float, size: int) -> None:
        """Count one answer; other workers show it after the next `flush`, within a second."""
        self._pending.append((route, status, seconds, size))
        if len(self._pending) >= _MOST_PENDING:
            self.flush()

    def flush(self) -> None:
        """Bring what was observed into the metrics; many at once cost less than each alone."""
        pending, self._pending = self._pending, []
        totals: dict[tuple[str, int], list[int]] = {}
        for route, status, seconds, size in pending:
            total = totals.setdefault((route, status), [0, 0])
            total[0] += 1
            total[1] += size
            self._of(route, status)[1].observe(seconds)
        for (route, status), (count, size) in totals.items():
            answers, _, sent = self._of(route, status)
            answers.inc(count)
            sent.inc(size)

    def _of(self, route: str, status: int) -> tuple[Counter, Histogram, Counter]:
        series = self._series.get((route, status))
        if series is None:
            series = self._series[route, status] = (
                self._answers.labels(route, str(status)),
                self._seconds.labels(route),
                self._bytes.labels(route),
            )
        return series

    def client_gone(self, route: str) -> None:
        """Count a client that did not wait for its answer."""
        self._gone.labels(route).inc()

    def gateway_dropped(self, reason: str) -> None:
        """Count a request whose portal headers are not believed."""
        self._dropped.labels(reason).inc()

    def issuer_fetched(self, result: str) -> None:
        """Count an attempt to get the keys of an identity provider."""
        self._fetches.labels(result).inc()

    def text(self, crises: Mapping[str, int]) -> bytes:
        """Give the exposition of all workers.

        Args:
            crises: How many crisis grants hold now, by event id.
        """
        self.flush()
        return self._answered() + _crises(crises)

    def _answered(self) -> bytes:
        if self._folder is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call] # untyped in the library
        return generate_latest(registry)


def _crises(crises: Mapping[str, int]) -> bytes:
    """Write what the rights say now: no sum over workers, so a registry of its own."""
    registry = CollectorRegistry()
    gauge = Gauge(
        "flux_crisis_grants", "Crisis grants that hold now, by event.", ["event"], registry=registry
    )
    for event, count in sorted(crises.items()):
        gauge.labels(event).set(count)
    return generate_latest(registry)
