"""A Ray cluster of the tests' own: on loopback, in a folder of its own, ended by process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
        dashboard: address of its dashboard, which takes jobs.
        address: of its head, which drivers connect to.
    """

    dashboard: str
    address: str


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def running_cluster(cpus: int) -> Iterator[Cluster]:
    """Start a cluster of one node; all its processes end with it."""
    folder = Path(tempfile.mkdtemp(prefix="muscle-ray-"))  # short: the names of its sockets have a limit
    head, dashboard, agent, client = free_ports(4)
    options = {
        "node-ip-address": "127.0.0.1",
        "port": head,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "ray-client-server-port": client,
        "num-cpus": cpus,
        "object-store-memory": 100 * 2**20,
        "temp-dir": folder,
    }
    binaries = Path(sys.executable).parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MUSCLE_")}
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "ray", "start", "--head", "--block", "--disable-usage-stats"]
            + [f"--{name}={value}" for name, value in options.items()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    cluster = Cluster(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{head}")
    try:
        _wait(cluster, process, folder / "start.log")
        yield cluster
    finally:
        _end(process, folder)
        shutil.rmtree(folder, ignore_errors=True)


def places_taken() -> dict[str, Any]:
    """What is reserved on the cluster that this process is connected to: state and size, by id."""
    from ray.util import placement_group_table

    table = placement_group_table()
    return {key: (one["state"], one["bundles"]) for key, one in table.items() if one["state"] != "REMOVED"}


@contextmanager
def explained(cluster: Cluster) -> Iterator[None]:
    """Add to an error what the cluster says of itself: why something hung there cannot be asked later."""
    try:
        yield
    except BaseException as error:  # what ends a test after too long is no Exception
        error.add_note(_said(cluster))
        raise


def _said(cluster: Cluster) -> str:
    import ray
    from ray.util.state import list_actors

    parts = [
        ("CPUs and memory", ray.cluster_resources),
        ("free", ray.available_resources),
        ("reserved", places_taken),
        ("actors", lambda: [vars(one) for one in list_actors(cluster.dashboard, timeout=10)]),
        ("logs", lambda: _log_ends(Path(ray.nodes()[0]["RayletSocketName"]).parents[1] / "logs")),
    ]
    lines = ["What Ray says:"]
    for what, ask in parts:
        try:
            lines.append(f"{what}: {ask()}")
        except Exception as error:
            lines.append(f"{what}: {error!r}")
    return "\n".join(lines)


def _log_ends(folder: Path, characters: int = 1500) -> str:
    """Ends of what the processes of the cluster wrote."""
    files = [path for path in sorted(folder.glob("worker-*.err")) if path.stat().st_size]
    return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-characters:]}" for path in files)


def _wait(cluster: Cluster, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{cluster.dashboard}/api/jobs/", timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def _end(process: subprocess.Popen, folder: Path) -> None:
    """Kill the head and whatever else of it is there; asked to end, it takes longer than it is waited for."""
    left = [*psutil.Process(process.pid).children(recursive=True)]
    process.kill()
    process.wait()
    left += [one for one in psutil.process_iter() if _belongs(one, folder)]
    for one in left:
        try:
            one.kill()
        except psutil.Error:
            continue


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(str(folder) in part for part in process.cmdline())
    except psutil.Error:
        return False


class Gate:
    """An address that leads to another one, as long as it is open."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = True
        self._pairs: list[socket.socket] = []
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Gate:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shut()
        self._listener.close()

    def open(self) -> None:
        self._open = True

    def shut(self) -> None:
        """End what goes through; what comes from now on is turned away."""
        self._open = False
        for one in self._pairs:
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            if not self._open:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
