"""Write the report of an update: whole or not at all, never over a file unasked, for every kind of version."""

from __future__ import annotations

import errno
from itertools import permutations
from pathlib import Path

import pytest
from reports import MOMENT, add_update, parsed
from typer.testing import CliRunner

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.updates import report as module
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.actions.updates.report import report_html, write_report
from muscle_core.cli import app
from muscle_core.errors import ConfigError, StoreError
from muscle_core.store import Workspace, get_dataset, get_version


@pytest.fixture
def update(workspace: Workspace, tmp_path: Path) -> Workspace:
    add_update(workspace, tmp_path, "choice")
    return workspace


def write(workspace: Workspace, out: Path | None, **options) -> Path:
    return write_report(workspace, "choice-old", "choice-new", "choice", out, moment=MOMENT, **options)


def test_the_file_is_the_page_and_nothing_else_is_left(update: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    file = write(update, folder / "report.html")
    assert file.read_text(encoding="utf-8") == report_html(update, "choice-old", "choice-new", "choice", moment=MOMENT)
    assert [path.name for path in folder.iterdir()] == ["report.html"]


def test_without_a_name_the_file_is_named_after_the_update(
    update: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write(update, None) == tmp_path / "choice-old-to-choice-new-choice.html"


def test_a_file_is_overwritten_only_when_asked(update: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("theirs")
    with pytest.raises(ConfigError, match=r"is there already and was left as it is.*--force"):
        write(update, file)
    assert file.read_text() == "theirs"
    write(update, file, force=True)
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_left_as_it_is(
    update: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    file = tmp_path / "report.html"

    def render(data, *, theme):
        file.write_text("theirs")
        return "ours"

    monkeypatch.setattr(module, "render_report", render)
    if not links:

        def refuse(*_):
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(module.os, "link", refuse)
    with pytest.raises(ConfigError, match="is there already"):
        write(update, file)
    assert file.read_text() == "theirs"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_disk_without_hard_links_gets_its_report(
    update: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(module.os, "link", refuse)
    assert write(update, tmp_path / "report.html").stat().st_size > 4_000_000


def test_a_full_disk_leaves_nothing_and_is_told(update: Workspace, small_disk: Path) -> None:
    (small_disk / "report.html").write_text("theirs")
    with pytest.raises(ConfigError, match=r"cannot be written.*No space left"):
        write(update, small_disk / "report.html", force=True)
    assert [path.name for path in small_disk.iterdir()] == ["report.html"]
    assert (small_disk / "report.html").read_text() == "theirs"


def test_places_that_cannot_be_written_are_refused_before_any_work(
    update: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "report_html", lambda *a, **k: pytest.fail("it began to work"))
    with pytest.raises(ConfigError, match="is a folder"):
        write(update, tmp_path)
    with pytest.raises(ConfigError, match=r"the folder .*gone does not exist"):
        write(update, tmp_path / "gone" / "report.html")


def test_requests_that_cannot_be_met_are_refused(update: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(StoreError, match="no model version named 'odl'"):
        write_report(update, "odl", "choice-new", "choice", out)
    with pytest.raises(StoreError, match="no split 'dev'"):
        write(update, out, split="dev")
    with pytest.raises(StoreError, match="no model version named 'fixd'"):
        write(update, out, compat="fixd")
    with pytest.raises(ConfigError, match="must be different versions"):
        write(update, out, compat="choice-new")
    with pytest.raises(ConfigError, match="must be different versions"):
        write_report(update, "choice-old", "choice-old", "choice", out)
    with pytest.raises(ConfigError, match="0 to 500 flips"):
        write(update, out, flips=1000)
    with pytest.raises(ConfigError, match="no theme"):
        write(update, out, theme="pink")
    assert not out.exists()


def test_evaluated_versions_show_margins_and_fingerprints(filled: Workspace, tiny_bases: dict[str, Path]) -> None:
    add_model_version(filled, "wide", str(tiny_bases["wide"]))
    names = ("old", "new", "wide")
    for name in names:
        evaluate(filled, name, "choice")
    comparisons = {pair: compare_versions(filled, *pair, "choice") for pair in permutations(names, 2)}
    pair, comparison = max(comparisons.items(), key=lambda item: item[1].counts.q4)
    text, _ = parsed(report_html(filled, *pair, "choice", moment=MOMENT))
    assert f"{comparison.counts.q4:,} of {comparison.n:,}" in text
    flips = comparison.samples[comparison.samples["quadrant"] == "Q4"]
    assert len(flips) > 0
    for row in flips.to_dict("records"):
        assert f"loss of margin {row['old_margin'] - row['new_margin']:.3f}" in text
    assert "log-likelihood of the right choice minus that of the best wrong one, in nats" in text
    for name in pair:
        assert get_version(filled, name).base_fingerprint in text
    assert "evaluated" in text


def test_trained_strategies_stand_beside_the_plain_new_version(workspace: Workspace, tmp_path: Path) -> None:
    from furnished import furnish

    from muscle_core.actions.strategies.over_seeds import compare_over_seeds
    from muscle_core.actions.updates.compare import trained_variants

    furnish(workspace, tmp_path)
    text, tags = parsed(report_html(workspace, "old", "new", "choice", moment=MOMENT))
    pair = (get_version(workspace, "old"), get_version(workspace, "new"), get_dataset(workspace, "choice"))
    table = compare_over_seeds(workspace, "old", "new", "choice", trained_variants(workspace, *pair))
    row = table.iloc[1]
    assert "token_correctness seed 0, from the new adapter, 25.0 % of tokens follow old" in text
    assert f"{row['nfr'] * 100:.1f} % [{row['nfr_low'] * 100:.1f}, {row['nfr_high'] * 100:.1f}]" in text
    assert f"{row['nfr_change'] * 100:+.1f} points" in text
    assert ("figure", {"data-chart": "strategies"}) in tags


def test_the_command_writes_and_refuses(update: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    arguments = ["report", "choice-old", "choice-new", "--dataset", "choice", "--out", str(out), "--flips", "2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"wrote {out}" in done.stdout
    _, tags = parsed(out.read_text(encoding="utf-8"))
    assert sum(tag == "article" for tag, _ in tags) == 2
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, ConfigError)  # exit code 2 by main()
    assert CliRunner().invoke(app, [*arguments, "--force", "--theme", "light"]).exit_code == 0


@pytest.mark.real
def test_the_real_llama_update_has_its_published_figures(workspace: Workspace, tmp_path: Path, real_data: Path) -> None:
    from muscle_core.actions.imports.outputs import import_predictions
    from muscle_core.actions.library.datasets import add_dataset
    from muscle_core.interchange import ImportColumns

    folder = real_data / "gsm8k_llama3_8b_to_3.1_8b"
    add_dataset(workspace, "gsm8k", "math", {"test": folder / "questions.jsonl"})
    for side in ("old", "new"):
        columns = ImportColumns(prediction=f"{side}_answer", correct=f"{side}_correct", output="output")
        import_predictions(
            workspace, f"llama-{side}", "gsm8k", folder / "scores.csv", columns, texts_file=folder / f"{side}.jsonl"
        )
    page = report_html(workspace, "llama-old", "llama-new", "gsm8k", moment=MOMENT)
    text, tags = parsed(page)
    for figure in ("87 of 1,319", "160 of 1,319", "6.6 %", "p < 0.001", "20 of 87 negative flips"):
        assert figure in text
    assert sum(tag == "article" for tag, _ in tags) == 20
    assert len(page.encode()) < 8_000_000
