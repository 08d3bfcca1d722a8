"""Noise floor and history from a workspace and by command; and on 43 models' real answers to 1,319 questions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import choice_rows
from typer.testing import CliRunner

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.updates.history import history_of
from muscle_core.actions.updates.noise import judge_update, noise_floor_of
from muscle_core.actions.updates.replicas import declare_replica
from muscle_core.cli import app
from muscle_core.comparison import compare, history, judge, noise_floor
from muscle_core.comparison.verdict import NO_FLOOR, NO_UPDATE, REGRESSION, TOO_FEW, WITHIN_NOISE
from muscle_core.errors import ConfigError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, list_runs

N = 200


@pytest.fixture
def logged(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Versions v1, v2, v3 and the replica v1-again, each with one imported run on 200 samples."""
    rows = choice_rows(N)
    add_dataset_rows(workspace, "d", "multiple_choice", {"test": [(row["id"], row) for row in rows]})
    for name, wrong in (("v1", 20), ("v2", 24), ("v3", 22), ("v1-again", 23)):
        log(workspace, tmp_path, name, range(wrong))
    return workspace


def log(workspace: Workspace, folder: Path, name: str, wrong, rows: int = N) -> None:
    """Import a run that answers these samples wrong."""
    gone = set(wrong)
    lines = [f"{row['id']},{(row['answer'] + (n in gone)) % 3}" for n, row in enumerate(choice_rows(rows))]
    file = folder / f"{name}-{len(list_runs(workspace))}.csv"
    file.write_text("id,answer\n" + "\n".join(lines) + "\n")
    import_predictions(workspace, name, "d", file, ImportColumns(prediction="answer"))


def command(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_second_log_of_a_version_gives_the_floor(logged: Workspace, tmp_path: Path) -> None:
    assert noise_floor_of(logged, "v1", "v2", "d") is None
    assert judge_update(logged, "v1", "v2", "d").judgement.word == NO_FLOOR
    log(logged, tmp_path, "v2", range(10, 34))
    floor = noise_floor_of(logged, "v1", "v2", "d")
    assert (floor.pairs, floor.n, floor.flips, floor.borrowed) == (2, N, 10.0, False)
    assert all(name.startswith("v2 (run ") for name in floor.names)
    log(logged, tmp_path, "v1", range(22))
    both = noise_floor_of(logged, "v1", "v2", "d")
    assert (both.pairs, both.flips) == (4, (10 + 10 + 2 + 0) / 4)
    log(logged, tmp_path, "v1", range(40), rows=N // 2)
    assert noise_floor_of(logged, "v1", "v2", "d")[:6] == both[:6], "half a run would halve the samples of the floor"


def test_a_declared_replica_gives_the_floor_and_is_no_update_itself(logged: Workspace) -> None:
    declare_replica(logged, "v1-again", "v1")
    floor = noise_floor_of(logged, "v1", "v2", "d")
    assert (floor.names, floor.flips, floor.same_version) == (("v1", "v1-again"), 1.5, False)
    same = judge_update(logged, "v1", "v1-again", "d")
    assert same.noise.same_version
    assert same.judgement.word == NO_UPDATE
    assert "1.50 % (3 of 200;" in same.judgement.sentence


def test_a_floor_can_be_borrowed_only_from_what_was_run_twice(logged: Workspace) -> None:
    with pytest.raises(ConfigError, match="no noise floor can be borrowed from v1: one run on 'd'"):
        noise_floor_of(logged, "v2", "v3", "d", borrowed_from=["v1"])
    declare_replica(logged, "v1-again", "v1")
    for names in (["v1"], ["v1-again"], ["v1", "v1-again"]):
        floor = noise_floor_of(logged, "v2", "v3", "d", borrowed_from=names)
        assert (set(floor.names), floor.borrowed) == ({"v1", "v1-again"}, True)
    assert noise_floor_of(logged, "v2", "v3", "d") is None
    with pytest.raises(StoreError, match="no model version named 'v9'"):
        noise_floor_of(logged, "v2", "v3", "d", borrowed_from=["v9"])


def test_the_commands_tell_what_the_library_tells(logged: Workspace) -> None:
    assert "no noise floor: " in command("compare", "v1", "v2", "-d", "d")
    assert "runs of one model: v1, v1-again" in command("models", "replica", "v1-again", "v1")
    assert command("models", "list").splitlines()[-1].split()[-1] == "v1"
    judged = judge_update(logged, "v1", "v2", "d")
    assert command("compare", "v1", "v2", "-d", "d").splitlines()[-1] == judged.judgement.sentence
    figures = json.loads(command("compare", "v1", "v2", "-d", "d", "--json"))
    assert figures["judgement"] == json.loads(json.dumps(judged.judgement.as_dict()))
    assert figures["noise_floor"]["flips"] == 1.5
    shown = command("noise", "v2", "v3", "-d", "d", "--noise-from", "v1,v1-again")
    assert shown.splitlines()[1].split()[:3] == ["v1", "v1-again", "1.50"]
    assert "borrowed" in shown
    borrowed = json.loads(command("noise", "v2", "v3", "-d", "d", "--noise-from", "v1", "--json"))
    assert borrowed["noise_floor"]["borrowed"] is True
    assert borrowed["judgement"]["word"] == TOO_FEW
    wide = command("noise", "v2", "v3", "-d", "d", "--noise-from", "v1", "--margin", "0.05")
    assert wide.splitlines()[-1].startswith("within noise: ")
    assert "no longer a replica of v1" in command("models", "replica", "v1-again", "--undo")
    with pytest.raises(ConfigError, match="name two versions"):
        command("models", "replica", "v1")


def test_history_follows_the_versions_named_or_all(logged: Workspace) -> None:
    found = history_of(logged, ["v3", "v1", "v2"], "d")
    assert found.names == ("v3", "v1", "v2")
    assert history_of(logged, [], "d").names == ("v1", "v2", "v3", "v1-again")
    counts = found.samples()["category"].value_counts().to_dict()
    assert counts == {"always right": 176, "always wrong": 20, "broken and still broken": 4}
    assert found.steps()["q4"].tolist() == [0, 4]
    with pytest.raises(ConfigError, match="v1 is named more than once"):
        history_of(logged, ["v1", "v1"], "d")
    with pytest.raises(StoreError, match="no model version named 'v9'"):
        history_of(logged, ["v1", "v9"], "d")
    out = command("history", "v1", "v2", "v3", "-d", "d")
    assert "90.00 → 88.00" in out
    assert "88.00  82.77–91.80 (of 200)" in out
    assert json.loads(command("history", "v1", "v2", "-d", "d", "--json", "--matrix"))["pairwise"]["flips"][0][1] == 4
    assert command("history", "v1", "v2", "v3", "-d", "d", "--csv").splitlines()[0].startswith("sample_id,trajectory,")
    assert command("history", "-d", "d", "--matrix", "--csv").splitlines()[0] == "old,v1,v2,v3,v1-again"
    assert "2.0" in command("history", "v1", "v2", "-d", "d", "--matrix")


# --- the real matrix: GSM8K, 43 models, 1,319 questions ----------------------------------------------------------

HOSTS = [
    "Llama-3.1-405B-Inst@sambanova",
    "Llama-3.1-405B-Instruct-Turbo",
    "Meta-Llama-3.1-405B-Instruct@hyperbolic",
]
LLAMA = ("Meta-Llama-3-8B-Instruct", "Meta-Llama-3.1-8B-Instruct")
GPT = ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06")
CLAUDE = ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022")


@pytest.fixture(scope="module")
def matrix(real_data: Path) -> dict[str, pd.DataFrame]:
    """One prediction table a model, read straight from the two wide files."""
    folder = real_data / "gsm8k_zeroeval_matrix"
    correct = pd.read_csv(folder / "correct.csv", dtype={"id": str})
    answers = pd.read_csv(folder / "answers.csv", dtype=str)
    assert correct["id"].tolist() == answers["id"].tolist()
    return {
        model: pd.DataFrame(
            {
                "sample_id": correct["id"],
                "prediction": answers[model],
                "correct": correct[model].astype(bool),
                "gold": answers["gold"],
            }
        )
        for model in correct.columns[1:]
    }


def updated(matrix: dict[str, pd.DataFrame], old: str, new: str):
    return compare(matrix[old], matrix[new], task_kind="math", old_name=old, new_name=new)


@pytest.mark.real
def test_the_real_llama_update(matrix: dict[str, pd.DataFrame]) -> None:
    comparison = updated(matrix, *LLAMA)
    assert (comparison.accuracy_old.numerator, comparison.accuracy_new.numerator) == (1035, 1108)
    assert [f"{r.value:.2%}" for r in (comparison.accuracy_old, comparison.accuracy_new)] == ["78.47%", "84.00%"]
    assert comparison.nfr[1:3] == (87, 1319)
    assert comparison.pfr[1:3] == (160, 1319)
    assert comparison.mcnemar_p == pytest.approx(3.966e-6, rel=1e-3)
    judged = judge(comparison)
    assert judged.word == NO_FLOOR
    assert "6.6 % of the inputs (87 of 1,319; 95 % interval 5.4–8.1 %)" in judged.sentence
    borrowed = judge(comparison, noise_floor([{name: matrix[name] for name in HOSTS}], borrowed=True))
    assert borrowed.word == REGRESSION
    assert "borrowed" in borrowed.sentence
    assert borrowed.difference[:3] == pytest.approx((0.05459, 0.0414, 0.0695), abs=2e-4)


@pytest.mark.real
def test_one_model_behind_three_hosts_is_no_update(matrix: dict[str, pd.DataFrame]) -> None:
    floor = noise_floor([{name: matrix[name] for name in HOSTS}], same_version=True)
    assert (floor.pairs, floor.n, floor.flips, floor.graded_differently) == (6, 1319, 15.0, 0)
    assert (floor.rate, floor.low, floor.high) == pytest.approx((15 / 1319, 0.00853, 0.01512), abs=1e-5)
    flips = {(one.first, one.second): one.rate.numerator for one in floor.by_pair}
    assert sorted(flips.values()) == [11, 12, 16, 16, 17, 18]
    for (old, new), count in flips.items():
        judged = judge(updated(matrix, old, new), floor)
        assert judged.word == NO_UPDATE
        assert judged.sentence.startswith(f"no update: {count / 13.19:.2f} % ({count} of 1,319; 95 % interval ")


@pytest.mark.real
def test_updates_as_small_as_noise_are_not_called_regressions(matrix: dict[str, pd.DataFrame]) -> None:
    hosts = noise_floor([{name: matrix[name] for name in HOSTS}], borrowed=True)
    for pair, flips in ((GPT, 11), (CLAUDE, 6)):
        comparison = updated(matrix, *pair)
        assert comparison.nfr.numerator == flips < hosts.flips
        assert judge(comparison).word == NO_FLOOR
        judged = judge(comparison, hosts)
        assert judged.word == WITHIN_NOISE
        assert judged.difference.high < 0.004
    gemini = judge(updated(matrix, "gemini-1.5-pro", "gemini-1.5-pro-exp-0801"), hosts)
    assert gemini.word == TOO_FEW, "21 flips: between 0.2 points below and 1.3 points above the floor"


@pytest.mark.real
def test_the_pairwise_matrix_of_all_43_models(matrix: dict[str, pd.DataFrame]) -> None:
    found = history(matrix)
    assert found.right.shape == (1319, 43)
    assert found.known.all()
    pairs = found.pairwise
    frame = found.matrix()
    rng = np.random.default_rng(0)
    for old, new in [*rng.choice(found.names, size=(40, 2)), LLAMA, GPT, CLAUDE]:
        flips = int((matrix[old]["correct"] & ~matrix[new]["correct"]).sum())
        assert pairs.flips[found.names.index(old), found.names.index(new)] == flips
        assert frame.loc[old, new] == flips / 1319
    table = found.category_table().set_index("category")
    assert table["samples"].sum() == 1319
    assert table.loc[["always right", "always wrong"], "samples"].tolist() == [209, 5]
    smaller = int((pairs.flips < 15).sum()) - 43
    assert smaller > 2, "some pairs of different models flip less than one model behind three hosts"


@pytest.mark.real
def test_the_three_hosts_in_a_workspace(workspace: Workspace, real_data: Path, tmp_path: Path, matrix) -> None:
    from muscle_core.actions.library.datasets import add_dataset

    add_dataset(workspace, "gsm8k", "math", {"test": real_data / "gsm8k_llama3_8b_to_3.1_8b" / "questions.jsonl"})
    columns = ImportColumns(id="sample_id", prediction="prediction", correct="correct")
    names = [name.replace("@", "-at-") for name in HOSTS]
    for model, name in [*zip(HOSTS, names, strict=True), *((model, model) for model in (*GPT, *LLAMA))]:
        file = tmp_path / "one.csv"
        matrix[model].to_csv(file, index=False)
        import_predictions(workspace, name, "gsm8k", file, columns)
    declare_replica(workspace, names[1], names[0])
    declare_replica(workspace, names[2], names[0])
    for old, new in ((0, 1), (0, 2), (1, 2), (2, 1)):
        assert judge_update(workspace, names[old], names[new], "gsm8k").judgement.word == NO_UPDATE
    assert judge_update(workspace, *GPT, "gsm8k").judgement.word == NO_FLOOR
    assert judge_update(workspace, *GPT, "gsm8k", borrowed_from=names[:1]).judgement.word == WITHIN_NOISE
    assert judge_update(workspace, *LLAMA, "gsm8k", borrowed_from=names[:1]).judgement.word == REGRESSION
