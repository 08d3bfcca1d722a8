"""Shared fixtures: every test has its own workspace, no network, and real tiny models made on the spot."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from helpers import choice_rows, make_tiny_base, worker_pids

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models here are so small that threads only get in each other's way


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(tmp_path / "workspace"))
    monkeypatch.delenv("MUSCLE_DATABASE_URL", raising=False)


@pytest.fixture
def workspace():
    from muscle_core.store import Workspace

    opened = Workspace.open()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tiny_bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bases by name: `old` and `new` fit together, `wide` has another shape, `foreign` another tokenizer."""
    root = tmp_path_factory.mktemp("bases")
    return {
        "old": make_tiny_base(root / "old", seed=1),
        "new": make_tiny_base(root / "new", seed=2),
        "wide": make_tiny_base(root / "wide", seed=3, hidden=64),
        "foreign": make_tiny_base(root / "foreign", seed=4, extra_token="<other>"),
    }


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets; the test is skipped where it is not named."""
    folder = os.environ.get("MUSCLE_REAL_DATA")
    if not folder:
        pytest.skip("MUSCLE_REAL_DATA is not set: name the folder of the real data sets to run this test")
    return Path(folder)


def _require(what: str, found: str | None, how: str) -> str:
    """Skip with instructions where a program is missing; fail instead where MUSCLE_REQUIRE_ALL=1 (as in .ci/run)."""
    if found:
        return found
    message = f"{what} not found: {how}"
    if os.environ.get("MUSCLE_REQUIRE_ALL") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium."""
    named = os.environ.get("MUSCLE_CHROMIUM")
    found = named or next(
        (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None
    )
    return _require("Chromium", found, "install it (apt-get install chromium) or name it in MUSCLE_CHROMIUM")


@pytest.fixture(scope="session")
def postgres_bin() -> Path:
    """Folder with initdb and pg_ctl."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((p for p in candidates if (p / "initdb").exists()), None)
    on_path = shutil.which("initdb")
    where = str(found) if found else (str(Path(on_path).parent) if on_path else None)
    return Path(_require("PostgreSQL", where, "install it (apt-get install postgresql)"))


@pytest.fixture(scope="session")
def _postgres_server(postgres_bin: Path):
    """A PostgreSQL cluster of our own on loopback, run by a user that is not root."""
    import socket
    import subprocess
    import tempfile

    # Not below pytest's own temporary folder: another pytest session of this user closes that to other users.
    folder = Path(tempfile.mkdtemp(prefix="muscle-postgres-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    prefix: list[str] = []
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root; its package brings a user.
        shutil.chown(folder, "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]

    def run(*command: str) -> None:
        subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    data = folder / "data"
    run(str(postgres_bin / "initdb"), "-D", str(data), "-U", "muscle", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    run(str(postgres_bin / "pg_ctl"), "-D", str(data), "-o", options, "-w", "-l", str(folder / "log"), "start")
    yield f"postgresql+psycopg://muscle@127.0.0.1:{port}"
    run(str(postgres_bin / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(_postgres_server: str, tmp_path: Path):
    """URL of a fresh database on the session's PostgreSQL server."""
    import uuid

    import sqlalchemy as sa

    name = f"t{uuid.uuid4().hex}"
    server = sa.create_engine(f"{_postgres_server}/postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    server.dispose()
    return f"{_postgres_server}/{name}"


@pytest.fixture
def filled(workspace, tiny_bases: dict[str, Path]):
    """A workspace with the versions `old` and `new` (plain bases) and the dataset `choice` (24 train, 30 test rows)."""
    from muscle_core.actions.datasets import add_dataset_rows
    from muscle_core.actions.models import add_model_version

    for role in ("old", "new"):
        add_model_version(workspace, role, str(tiny_bases[role]), role=role)
    rows = {"train": choice_rows(24, 100), "test": choice_rows(30)}
    add_dataset_rows(
        workspace,
        "choice",
        "multiple_choice",
        {split: [(row["id"], row) for row in group] for split, group in rows.items()},
        template="Question : {input} Answer :",
    )
    return workspace


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster of two processors on loopback."""
    from ray_cluster import running_cluster

    with running_cluster(cpus=2) as cluster:
        yield cluster


@pytest.fixture
def stop_workers(tmp_path: Path):
    """Ends the workers of this test's workspace when the test is over."""
    import signal

    import psutil

    yield
    for pid in worker_pids(tmp_path / "workspace"):
        os.kill(pid, signal.SIGTERM)
        try:
            psutil.Process(pid).wait(timeout=90)
        except psutil.NoSuchProcess:
            continue
