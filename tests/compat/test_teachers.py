"""The teacher store: the same numbers as asking, asked once, found again, and refused where it does not fit."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple

import pytest
import torch
from architectures import TINY

from muscle_core.compat import teachers as module
from muscle_core.compat.states import StateReader
from muscle_core.compat.teachers import LiveTeacher, StoredTeacher, fill_store, is_filled, store_key
from muscle_core.errors import ConfigError
from muscle_core.scoring.encode import EncodedPair

PAIRS = [EncodedPair([5 + i, 9, 30 + i] * (1 + i % 3), [8 + i, *[40 + i] * (i % 4), 2]) for i in range(30)]


def load(name="llama"):
    return TINY[name]()


def fill(folder, *, name="llama", pairs=PAIRS, limit=1e9, **options):
    fill_store(folder, lambda: load(name), pairs, 0, name="old", limit_bytes=limit, **options)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])  # the last one's states are its logits
def test_a_store_says_what_the_teacher_says(tmp_path, architecture):
    folder = tmp_path / "store"
    fill(folder, name=architecture)
    stored = StoredTeacher(folder, PAIRS, torch.device("cpu"), None)
    live = LiveTeacher(StateReader(load(architecture), 0, PAIRS), PAIRS)
    assert stored.vocabulary == live.vocabulary == 320
    for indices in ([3], [0, 29, 7], list(range(30)), [7, 7]):
        one, other = stored.tokens(indices), live.tokens(indices)
        assert (one.head(one.states) - other.head(other.states)).abs().max() < 2e-4
        assert torch.equal(one.argmax, other.argmax)
        assert (one.gold - other.gold).abs().max() < 2e-4
        assert len(one.gold) == sum(len(PAIRS[index].answer) for index in indices)
        direct = one.head(one.states).log_softmax(-1)
        gold = torch.tensor([token for index in indices for token in PAIRS[index].answer])
        assert (direct.gather(1, gold[:, None])[:, 0] - one.gold).abs().max() < 1e-4


def test_a_complete_store_is_not_filled_again(tmp_path):
    fill(tmp_path / "store")
    fill_store(
        tmp_path / "store",
        lambda: pytest.fail("the teacher was loaded again"),
        PAIRS,
        0,
        name="old",
        limit_bytes=1e9,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "store.lock"]


def test_a_killed_filling_goes_on_where_it_stopped_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PASS_TOKENS", 12)
    monkeypatch.setattr(module, "_SAVE_EVERY", 2)
    fill(tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill(done, total):
        if done >= 15:
            raise Killed

    with pytest.raises(Killed):
        fill(tmp_path / "store", report=kill)
    assert not is_filled(tmp_path / "store")
    noted = json.loads((tmp_path / "store.partial" / "filling.json").read_text())["passes"]
    assert noted > 0
    asked = []
    fill(tmp_path / "store", report=lambda done, total: asked.append(done))
    assert asked[0] > 8  # not from the beginning
    for name in ("states.npy", "argmax.npy", "gold.npy", "head.safetensors", "store.json"):
        assert (tmp_path / "store" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_store_beyond_its_limit_is_refused_with_both_figures_before_anything_is_asked(tmp_path):
    with pytest.raises(ConfigError) as caught:
        fill(tmp_path / "store", limit=5000, report=lambda done, total: pytest.fail("it was asked"))
    text = str(caught.value)
    tokens = sum(len(pair.answer) for pair in PAIRS)
    assert f"about {tokens:,} answer tokens takes 0.00 GiB" in text
    assert "allowed by teacher_store_gib" in text
    assert "teacher_store=false" in text
    assert [path.name for path in tmp_path.iterdir()] == ["store.lock"]


def test_a_disk_without_room_is_refused_before_anything_is_asked(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 64 * 2**20 + 100))
    with pytest.raises(ConfigError, match=r"only 0.00 GiB are free. Make room"):
        fill(tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["store.lock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_up_meanwhile_gives_a_message_and_no_crash(tmp_path, monkeypatch):
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))  # another process is faster
        with pytest.raises(ConfigError, match=r"the disk of .* is too full"):
            fill(small / "store")
        assert [path.name for path in small.iterdir()] == ["store.lock"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_key_tells_teachers_and_samples_apart():
    keys = {store_key(teacher, samples) for teacher in ("a", "b") for samples in ("x", "y")}
    assert len(keys) == 4
    assert store_key("a", "x") in keys
