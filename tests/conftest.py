"""Shared fixtures: every test has its own workspace, no network, and real tiny models made on the spot."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from built import Built, FilledAnd, Make, fill
from demo_workspace import loaded_once
from helpers import end_workers, make_tiny_base
from postgres import PostgresCluster, fresh_database
from s3 import s3_server

# Tests run side by side on a busy machine: a slow example is no failure.
hypothesis.settings.register_profile("muscle", deadline=None)
hypothesis.settings.load_profile("muscle")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Ray asks for a token wherever this user's home holds one; the clusters here are on loopback and live for minutes.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models here are so small that threads only get in each other's way


# Files that start a Ray cluster: one process runs them one after the other, since each waits for the others' end.
_RAY = ("jobs/test_ray_launcher.py", "compat/test_ray_train.py", "scoring/test_ray_engine.py")
# The files that take longest, first: of several processes none is left alone with one at the end. The first that needs
# the demo loads it, which takes most of a minute, while the others begin with what needs none.
_FIRST = (
    *_RAY,
    "browser/test_story.py",
    "jobs/test_worker.py",
    "jobs/test_kills.py",
    "test_cli.py",
    "browser/test_accessibility.py",
    "browser/test_every_page.py",
    "browser/test_review.py",
    "browser/test_jobs_survive.py",
    "browser/test_sample_detail.py",
    "pages/test_states.py",
    "browser/test_tour.py",
    "browser/test_report_file.py",
    "jobs/test_many_workers.py",
    "browser/test_first_run_and_import.py",
    "browser/test_flips.py",
    "browser/test_masking.py",
    "browser/test_training.py",
    "browser/test_samples.py",
    "actions/training/test_shared_artifacts.py",
    "jobs/test_database_away.py",
    "actions/evaluation/test_kept_answers.py",
    "browser/test_back.py",
    "test_cli_gate.py",
    "test_cli_export.py",
    "test_cli_ablation.py",
    "test_cli_recipe.py",
    "store/test_full_disk.py",
    "scoring/test_generation.py",
    "compat/test_trainer.py",
    "compat/test_resume.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share out whole files, and the files of `_RAY` as one."""
    from xdist.scheduler import LoadFileScheduling

    ray = {f"{Path(__file__).parent.relative_to(config.rootpath).as_posix()}/{name}" for name in _RAY}

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "ray" if file in ray else file

    return Files(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _own_main_module() -> Iterator[None]:
    """AppTest leaves app.py as the main module, which processes that are spawned afterwards would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(tmp_path / "workspace"))
    monkeypatch.delenv("MUSCLE_DATABASE_URL", raising=False)
    monkeypatch.delenv("MUSCLE_ARTIFACTS", raising=False)


@pytest.fixture(autouse=True)
def _imports_left_out_of_collections() -> Iterator[None]:
    """As in the app: every training also ends with a full collection, which takes 0.3 s for what is imported alone."""
    yield
    from muscle_core.ui.imported import leave_out_of_collections

    leave_out_of_collections()


@pytest.fixture
def workspace():
    from muscle_core.store import Workspace

    opened = Workspace.open()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory):
    """A copy of the demo's workspace, loaded by the real loader, for the tests of this process."""
    own = tmp_path_factory.getbasetemp()
    home = tmp_path_factory.mktemp("demo") / "workspace"
    shutil.copytree(loaded_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own), home)
    yield home
    end_workers(home)


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


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 3 MiB of its own, which a test can fill or make read-only."""
    import subprocess

    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    how = f"these tests mount one, which needs root and the right to mount ({done.stderr.strip()})"
    _require("a small file system", None if done.returncode else str(folder), how)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


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
    cluster = PostgresCluster(postgres_bin)
    cluster.start()
    yield cluster.server_url
    cluster.remove()


@pytest.fixture
def postgres_url(_postgres_server: str) -> str:
    """URL of a fresh database on the session's PostgreSQL server."""
    return fresh_database(_postgres_server)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory):
    """An S3 server of our own on loopback."""
    import importlib.util

    there = all(importlib.util.find_spec(name) for name in ("moto", "flask", "s3fs"))
    _require("moto or s3fs", "here" if there else None, "pip install -r requirements-dev.txt")
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as server:
        yield server


@pytest.fixture
def bucket(s3, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a fresh bucket on it; the environment leads there."""
    import uuid

    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex}"
    s3.client().create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def furnished_workspace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A workspace with one of everything, its rows in SQLite or PostgreSQL."""
    from furnished import furnish

    from muscle_core.store import Workspace

    if request.param == "postgresql":
        monkeypatch.setenv("MUSCLE_DATABASE_URL", request.getfixturevalue("postgres_url"))
    workspace = Workspace.open()
    furnish(workspace, tmp_path)
    yield workspace
    workspace.close()


@pytest.fixture
def filled(workspace, tiny_bases: dict[str, Path]):
    """A workspace with the versions `old` and `new` (plain bases) and the dataset `choice` (24 train, 30 test rows)."""
    fill(workspace, tiny_bases)
    return workspace


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory, tiny_bases: dict[str, Path]) -> Built:
    return Built(tmp_path_factory.mktemp("built"), tiny_bases)


@pytest.fixture
def filled_and(_built: Built, tmp_path: Path) -> Iterator[FilledAnd]:
    """Opens this test's workspace: `filled`, and then what a function has made in it, once for all tests."""
    from muscle_core.store import Workspace

    opened: list[Workspace] = []

    def given(make: Make) -> Workspace:
        elsewhere = {"MUSCLE_DATABASE_URL", "MUSCLE_ARTIFACTS"} & set(os.environ)
        assert not elsewhere, f"a copy of a folder lacks what is in {elsewhere}"
        _built.copy(make, tmp_path / "workspace")
        opened.append(Workspace.open())
        return opened[-1]

    yield given
    for workspace in opened:
        workspace.close()


@pytest.fixture(scope="module")
def ray_alone():
    """Keeps the Ray of other test processes away: two clusters on one machine get into each other's ports."""
    import fcntl
    import tempfile

    with (Path(tempfile.gettempdir()) / "muscle-ray-tests.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def ray_cluster(ray_alone: None):
    """A Ray cluster of two processors on loopback."""
    from ray_cluster import running_cluster

    with running_cluster(cpus=2) as cluster:
        yield cluster


@pytest.fixture
def stop_workers(tmp_path: Path):
    """Ends the workers of this test's workspace when the test is over."""
    yield
    end_workers(tmp_path / "workspace")
