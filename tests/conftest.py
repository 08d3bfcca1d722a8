"""Shared fixtures: every test has its own workspace, no network, and real tiny models made on the spot."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

_WORDS = "the a cat dog bird house tree runs sleeps eats one two three four five Question Answer : ? . , and or is"


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


def make_tiny_base(folder: Path, *, seed: int, hidden: int = 32, extra_token: str | None = None) -> Path:
    """A real Llama of a few thousand parameters with a real byte-level BPE tokenizer, in Hugging Face format."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>"] + ([extra_token] if extra_token else [])
    tokenizer.train_from_iterator(
        [_WORDS] * 20,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(fast),
            hidden_size=hidden,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.3,  # far from uniform, so that argmax and rankings mean something
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


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
def _postgres_server(postgres_bin: Path, tmp_path_factory: pytest.TempPathFactory):
    """A PostgreSQL cluster of our own on loopback, run by a user that is not root."""
    import socket
    import subprocess

    folder = tmp_path_factory.mktemp("postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    prefix: list[str] = []
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root; its package brings a user.
        for parent in [folder, *folder.parents]:
            if parent.name.startswith("pytest-"):
                parent.chmod(0o755)
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


CHOICES = ["cat", "dog", "bird"]


def choice_rows(count: int, offset: int = 0) -> list[dict]:
    """Small multiple-choice rows whose gold answer alternates."""
    return [
        {"id": f"c{n}", "question": f"the {CHOICES[n % 3]} runs {n} ?", "choices": CHOICES, "answer": (n * 7) % 3}
        for n in range(offset, offset + count)
    ]


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


def worker_pids(home: Path) -> list[int]:
    """Workers (not their children) that serve a workspace."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if "worker" in process.cmdline() and process.environ().get("MUSCLE_HOME") == str(home):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


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
