"""The files of deploy/ name what is there: folders, options and variables."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _worker_accepts(arguments: list[str]) -> bool:
    """Whether the worker command takes these options: one that it does not know ends it before `--help`."""
    command = [sys.executable, "-m", "muscle_core", "worker", *arguments, "--help"]
    return subprocess.run(command, capture_output=True, cwd=ROOT).returncode == 0


def test_the_unit_starts_a_worker_that_stops_softly() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "muscle-worker.service")
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.endswith("/bin/python")
    assert arguments[:3] == ["-m", "muscle_core", "worker"]
    assert _worker_accepts(arguments[3:])
    assert not _worker_accepts(["--no-such-option"])
    assert service["KillSignal"] == "SIGTERM"
    from muscle_core.jobs.worker import GRACE_SECONDS

    assert int(service["TimeoutStopSec"]) > GRACE_SECONDS


def test_the_image_copies_what_exists_and_starts_a_worker_without_a_shell() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    sources = [word for line in re.findall(r"^COPY (.+)$", text, re.M) for word in line.split()[:-1]]
    assert sources
    for source in sources:
        assert list(ROOT.glob(source)), source
    for name in re.findall(r"-r (\S+)", text):
        assert (ROOT / name).is_file(), name
    command = re.search(r"^CMD (\[.+\])$", text, re.M)
    assert command is not None
    words = re.findall(r'"([^"]+)"', command.group(1))
    assert words[:4] == ["python", "-m", "muscle_core", "worker"]
    assert _worker_accepts(words[4:])
