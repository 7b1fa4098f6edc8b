"""What this process counted since it started, in Prometheus' text format; docs/decisions/0012 says why."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SCOPE = "platform:metrics:read"
OTHER = "other"
"""Instead of a method, path or type that somebody else chose: labels hold what we named ourselves only."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLASSES = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0)
_EVENT_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 25.0)
_STORE_BUCKETS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Reading(msgspec.Struct, frozen=True):
    """One number as it is now. `counts`: it only grows, and its name ends in `_total`."""

    name: str
    help: str
    value: float
    counts: bool = True


class Read(Protocol):
    """Whoever keeps numbers of his own, which cost nothing until somebody asks."""

    def readings(self) -> Iterable[Reading]: ...


class _Readings(Collector):
    def __init__(self) -> None:
        self.sources: list[Read] = []

    def collect(self) -> Iterator[Metric]:
        for source in self.sources:
            for reading in source.readings():
                family = CounterMetricFamily if reading.counts else GaugeMetricFamily
                yield family(reading.name, reading.help, value=reading.value)


class _Timed:
    """A histogram whose series are found without the library's own look-up, which takes as long again."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._series: dict[tuple[str, ...], Histogram] = {}

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._histogram.labels(*labels)
        series.observe(seconds)


class Metrics:
    """One for a process, made with its app. No label names a tenant, an id or a path as it came."""

    def __init__(self, function: str, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library gives no types here
        self._registry = CollectorRegistry()
        self._requests = self._timed(
            "energent_http_request_duration_seconds",
            "Requests that this instance answered, by method, route and class of status.",
            ("method", "route", "status"),
            _REQUEST_BUCKETS,
        )
        self._events = self._timed(
            "energent_event_duration_seconds",
            "Messages that this instance took, by type and what became of them.",
            ("type", "outcome"),
            _EVENT_BUCKETS,
        )
        self._store_calls = self._timed(
            "energent_store_call_duration_seconds",
            "Calls of the store, by kind and outcome; stale and exists are conflicts.",
            ("call", "outcome"),
            _STORE_BUCKETS,
        )
        build = Info(
            "energent_build", "Which function and version this instance is.", registry=self._registry
        )
        build.info({"function": function, "version": version})
        ProcessCollector(registry=self._registry)
        self._readings = _Readings()
        self._registry.register(self._readings)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template of ours or `OTHER`. Called on the hot path."""
        known = method if method in _METHODS else OTHER
        self._requests.observe((known, route, _CLASSES[status // 100]), seconds)

    def handled(self, event_type: str, outcome: str, seconds: float) -> None:
        """`event_type` is the short name of one that this function knows, or `OTHER`."""
        self._events.observe((event_type, outcome), seconds)

    def called(self, call: str, outcome: str, seconds: float) -> None:
        """A call of the store."""
        self._store_calls.observe((call, outcome), seconds)

    def watch(self, *sources: Read) -> None:
        """What these keep themselves is part of each answer from now on."""
        self._readings.sources += sources

    def text(self) -> bytes:
        """All of it, as `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _timed(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> _Timed:
        return _Timed(Histogram(name, text, labels, buckets=buckets, registry=self._registry))
