"""Metrics of this process in Prometheus' text format (docs/decisions/0012)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from types import TracebackType
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

from shared.errors import Error

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SCOPE = "platform:metrics:read"
OTHER = "other"
"""The label value for a method, path or type that is not ours: clients must not choose label values."""
OK = "ok"
MAX_SERIES = 200
"""The limit on series of one metric. We have fewer error codes; anything over the limit becomes `OTHER`."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLASSES = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0)
_EVENT_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 25.0)
_STORE_BUCKETS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Reading(msgspec.Struct, frozen=True):
    """The current value of one series. `counts`: it is a counter and not a gauge. All readings of one name
    have the same help text and label names.
    """

    name: str
    help: str
    value: float
    counts: bool = True
    labels: Mapping[str, str] = {}


class Read(Protocol):
    """A source of readings, which are computed only when the metrics are fetched."""

    def readings(self) -> Iterable[Reading]: ...


class Counts:
    """Counters by label values. Label values must come from our code, never from a client."""

    def __init__(self, name: str, help_text: str, *labels: str) -> None:
        self._name = name
        self._help = help_text
        self._labels = labels
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *values: str) -> None:
        """Increments the counter with these label values."""
        self._add(values)

    def _add(self, values: tuple[str, ...]) -> None:
        count = self._counts.get(values)
        if count is None and len(self._counts) >= MAX_SERIES:
            values = (OTHER,) * len(self._labels)
            count = self._counts.get(values)
        self._counts[values] = (count or 0) + 1

    def result(self, *values: str) -> "_Result":
        """A context that counts its outcome in the last label: `ok`, or the code of an `Error`. Any other
        exception, such as `Stale` before a retry, is not counted.
        """
        return _Result(self._add, values)

    def readings(self) -> Iterator[Reading]:
        """The counters for `Metrics`."""
        for values, count in self._counts.items():
            labels = dict(zip(self._labels, values, strict=True))
            yield Reading(self._name, self._help, count, labels=labels)


class _Result:
    __slots__ = ("_add", "_values")

    def __init__(self, add: Callable[[tuple[str, ...]], None], values: tuple[str, ...]) -> None:
        self._add = add
        self._values = values

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._add((*self._values, OK))
        elif isinstance(error, Error):
            self._add((*self._values, error.code))


class _Readings(Collector):
    def __init__(self, *sources: Read) -> None:
        self.sources = [*sources]

    def collect(self) -> Iterator[Metric]:
        """One metric for each name, with the series of all sources."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for reading in chain.from_iterable(source.readings() for source in self.sources):
            family = families.get(reading.name)
            if family is None:
                kind = CounterMetricFamily if reading.counts else GaugeMetricFamily
                family = families[reading.name] = kind(reading.name, reading.help, labels=[*reading.labels])
            family.add_metric([*reading.labels.values()], reading.value)
        yield from families.values()


class _Timed:
    """A histogram that caches its series: the library's look-up takes as long as the observation."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._series: dict[tuple[str, ...], Histogram] = {}

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._histogram.labels(*labels)
        series.observe(seconds)


class Metrics:
    """One for each process. No label holds a tenant, an id or a client's path."""

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
        refusals = "Requests that were refused, by our code of why; too_many_… and the like were throttled."
        self._refusals = Counts("energent_http_refusals", refusals, "code")
        self._readings = _Readings(self._refusals)
        self._registry.register(self._readings)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answered request. `route` is a path template or `OTHER`. Called on the hot path."""
        known = method if method in _METHODS else OTHER
        self._requests.observe((known, route, _CLASSES[status // 100]), seconds)

    def refused(self, code: str) -> None:
        """Counts an error response. `code` is `Error.code`."""
        self._refusals.add(code)

    def handled(self, event_type: str, outcome: str, seconds: float) -> None:
        """Counts a message. `event_type` is the short name of a type with a handler, or `OTHER`."""
        self._events.observe((event_type, outcome), seconds)

    def called(self, call: str, outcome: str, seconds: float) -> None:
        """Counts a call of the store."""
        self._store_calls.observe((call, outcome), seconds)

    def watch(self, *sources: Read) -> None:
        """Adds sources, whose readings are part of `text` from now on."""
        self._readings.sources += sources

    def text(self) -> bytes:
        """All metrics, encoded as `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _timed(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> _Timed:
        return _Timed(Histogram(name, text, labels, buckets=buckets, registry=self._registry))
