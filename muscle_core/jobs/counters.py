"""Counters of a worker for Prometheus, on loopback and only where they are asked for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from muscle_core.errors import JobError
from muscle_core.jobs.worker import Notice

_HOST = "127.0.0.1"


def counted(notice: Notice, port: int) -> Notice:
    """A notice that counts what it is told, and serves the counts.

    Args:
        notice: told of everything besides.
        port: of 127.0.0.1; the counts are at /metrics.

    Raises:
        JobError: the port is taken.
    """
    registry = CollectorRegistry()
    events = Counter("muscle_worker_events", "What happened in this worker.", ["what"], registry=registry)
    claimed = Counter("muscle_jobs_claimed", "Jobs that this worker started.", ["kind", "device"], registry=registry)
    running = Gauge("muscle_jobs_running", "Jobs that this worker looks after.", registry=registry)
    try:
        start_http_server(port, addr=_HOST, registry=registry)
    except OSError as error:
        raise JobError(
            f"the counters cannot be served on {_HOST}:{port}: {error.strerror}. Name another port."
        ) from error

    def told(what: str, **facts: object) -> None:
        events.labels(what).inc()
        if what == "job claimed":
            claimed.labels(facts["kind"], facts["device"]).inc()
        if what in ("job claimed", "job adopted"):
            running.inc()
        elif what == "job ended":
            running.dec()
        notice(what, **facts)

    return told
