"""The gate as a pipeline runs it: exit codes of a table of scenarios, its files, and what it leaves alone."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers import choice_rows

from muscle_core import cli
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, list_datasets

ROOT = Path(__file__).resolve().parents[1]
N = 200
WRONG_BEFORE = range(20)  # rows that v1 gets wrong, and v2 gets right
BROKEN = range(100, 104)  # negative flips of v2: 4 of 200, an NFR of 2 %
FLIPS = [f"c{n}" for n in BROKEN]


def answers(wrong: set[int], rows: list[dict]) -> list[dict]:
    return [
        {"id": row["id"], "answer": row["choices"][(row["answer"] + (n in wrong)) % 3], "gold": str(row["answer"])}
        for n, row in enumerate(rows)
    ]


def import_version(workspace: Workspace, name: str, rows: list[dict], dataset: str = "d") -> None:
    file = workspace.home / f"{name}-{dataset}.json"
    file.write_text(json.dumps([{key: row[key] for key in ("id", "answer")} for row in rows]))
    import_predictions(workspace, name, dataset, file, ImportColumns(prediction="answer"))


@pytest.fixture
def place(workspace: Workspace, tmp_path: Path) -> Path:
    """Versions v1 (approved), v2 (4 flips), v3 (v1 again), worse (30 fall) on dataset d; s1, s2 on summaries."""
    rows = choice_rows(N)
    add = {"test": [(row["id"], row) for row in rows]}
    add_dataset_rows(workspace, "d", "multiple_choice", add)
    other = {"test": [(row["id"], {**row, "question": row["question"] + "!"}) for row in rows]}
    add_dataset_rows(workspace, "other", "multiple_choice", other)
    wrong = set(WRONG_BEFORE)
    versions = {"v1": wrong, "v2": set(BROKEN), "v3": wrong, "worse": wrong | set(range(50, 80))}
    for name, missed in versions.items():
        import_version(workspace, name, answers(missed, rows))
    import_version(workspace, "part", answers(wrong, rows)[:-3])
    silent = answers(wrong, rows)
    silent[5]["answer"] = ""
    import_version(workspace, "silent", silent)
    import_version(workspace, "v2", answers(set(BROKEN), rows), "other")
    texts = [{"id": f"t{n}", "dialogue": f"a {n}", "summary": f"one two three {n}"} for n in range(40)]
    add_dataset_rows(workspace, "texts", "summarization", {"test": [(row["id"], row) for row in texts]})
    for name, lost in (("s1", 0), ("s2", 10)):
        said = [{"id": row["id"], "answer": "nothing" if n < lost else row["summary"]} for n, row in enumerate(texts)]
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(said))
        import_predictions(workspace, name, "texts", file, ImportColumns(output="answer"))
    files = {
        "v1": answers(wrong, rows),
        "v2": answers(set(BROKEN), rows),
        "doubled": [*answers(set(BROKEN), rows), answers(set(BROKEN), rows)[7]],
        "short": answers(set(BROKEN), rows)[:-1],
        "apart": [{**row, "id": f"x{row['id']}"} for row in answers(set(BROKEN), rows)],
        "regraded": [{**row, "gold": "9"} if row["id"] == "c3" else row for row in answers(set(BROKEN), rows)],
        "tiny1": answers(set(), rows[:20]),
        "tiny2": answers(set(), rows[:20]),
    }
    for name, said in files.items():
        lines = ["id,prediction,correct,gold"]
        for row in said:
            prediction = str(["cat", "dog", "bird"].index(row["answer"]))
            lines.append(f"{row['id']},{prediction},{int(prediction == row['gold'])},{row['gold']}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def muscle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command as `python -m muscle_core` does, in this process."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["muscle_core", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), captured.out + captured.err

    return run


def scenario(text: str, code: int, words: str, before: str = "") -> pytest.param:
    return pytest.param(text, code, words, before, id=f"{code} {words}")


APPROVE = "approve v1 -d d --out {}/b.json"
BASE = "--baseline {}/b.json"
SCENARIOS = [
    # Passing
    scenario("v1 v2 -d d --max-nfr 0.02", 0, "negative flip rate 2.00 % (4 of 200) is within the limit"),
    scenario("v1 v2 -d d --max-flips 4 --min-accuracy-change 0.05", 0, "accuracy changed by +8.00 points"),
    scenario("v1 v2 -d d --max-flips 0 " + " ".join(f"--allow {i}" for i in FLIPS), 0, "allowed: 4 (c100, c101"),
    scenario("v1 v3 -d d --max-flips 0", 0, "0 negative flips in 200 samples"),
    scenario(f"v1 v3 -d d --max-flips 0 {BASE}", 0, "PASSED: v1 -> v3", APPROVE),
    scenario(f"v1 -d d --max-flips 0 {BASE}", 0, "PASSED: v1 (approved) -> v1", APPROVE),
    scenario(f"v2 -d d {BASE}", 0, "at most 2.00 %", f"{APPROVE} --max-nfr 0.02"),
    scenario(
        f"v1 v2 -d d --max-flips 0 {BASE}",
        0,
        "accepted in the baseline: 4 (c100",
        "approve v1 v2 -d d --out {}/b.json --accept-all",
    ),
    scenario("s1 s2 -d texts --max-regression 0.3", 0, "mean loss of rouge1 0.2500 on 40 samples"),
    scenario("--old-file {}/v1.csv --new-file {}/v2.csv --max-nfr 0.02", 0, "PASSED: v1 -> v2"),
    scenario(f"--new-file {{}}/v2.csv --max-nfr 0.02 {BASE}", 0, "PASSED", APPROVE),
    scenario("check v1 v2 -d d --max-nfr 0.02", 0, "PASSED"),
    # Regressions
    scenario("v1 v2 -d d --max-flips 3", 100, "4 negative flips in 200 samples is beyond the limit of at most 3"),
    scenario("v1 v2 -d d --max-nfr 0.019", 100, "negative flip rate 2.00 % (4 of 200) is beyond the limit"),
    scenario("v1 worse -d d --min-accuracy-change -0.01", 100, "accuracy changed by -15.00 points"),
    scenario("v1 v2 -d d --max-nfr 0.03 --rule upper", 100, "too few samples to tell (it takes about 1,118"),
    scenario("v1 v3 -d d --max-nfr 0.01 --rule upper", 100, "too few samples to tell (it takes about 381)"),
    scenario("--old-file {}/tiny1.csv --new-file {}/tiny2.csv --max-nfr 0.02 --rule upper", 100, "too few samples"),
    scenario("s1 s2 -d texts --max-regression 0.2", 100, "is beyond the limit of at most 0.2000"),
    scenario(f"v1 worse -d d {BASE}", 100, "at most 2.00 %", f"{APPROVE} --max-nfr 0.02"),
    scenario(
        f"v1 v2 -d d --max-flips 0 {BASE}",
        100,
        "negative flips that count: 3",
        "approve v1 v2 -d d --out {}/b.json --accept c100",
    ),
    # Not judged
    scenario("v1 v2 -d d --max-flips 0 --allow c999", 2, "allowed, but not among the samples: 1 sample ('c999')"),
    scenario("v1 v2 -d d", 2, "no limit is given"),
    scenario("v1 v2 -d d --max-nfr 2", 2, "2 % is 0.02"),
    scenario("v1 v2 -d d --max-nfr nan", 2, "max_nfr must be a share"),
    scenario("v1 v2 -d d --max-flips 200", 2, "can never fail"),
    scenario("v1 v2 -d d --max-nfr 0.1 --confidence 95", 2, "confidence must lie between 0 and 1"),
    scenario("v1 v2 -d d --max-nfr 0.1 --rule lower", 2, "rule must be one of"),
    scenario("v1 v2 -d d --max-nfr lots", 2, "Invalid value for '--max-nfr'"),
    scenario("v1 v1 -d d --max-flips 0", 2, "the same version"),
    scenario("v1 part -d d --max-flips 0", 2, "part lacks 3 samples ('c197', 'c198', 'c199')"),
    scenario("v1 silent -d d --max-flips 0", 2, "silent has neither right nor wrong for 1 sample ('c5')"),
    scenario("v1 v2 -d other --max-flips 0", 2, "has not been evaluated"),
    scenario("v1 nobody -d d --max-flips 0", 2, "no model version named 'nobody'"),
    scenario("v1 v2 -d d --max-flips 0 --split dev", 2, "no split 'dev'"),
    scenario("s1 s2 -d texts --max-nfr 0.1", 2, "have a score only"),
    scenario("v1 v2 -d d --max-flips 0 --baseline {}/gone.json", 2, "cannot be read"),
    scenario(f"v2 -d other --max-flips 0 {BASE}", 2, "changed since: 200 samples", APPROVE),
    scenario(f"v3 v2 -d d --max-flips 0 {BASE}", 2, "approves 'v1', not 'v3'", APPROVE),
    scenario("v1 v2 -d d --max-flips 9 --junit {}/no/j.xml", 2, "the folder of --junit"),
    scenario("v1 v2 -d d --max-flips 9 --json {}", 2, "is not a file"),
    scenario(f"v1 v2 -d d --max-flips 9 {BASE} --json {{}}/b.json", 2, "is the file of --baseline", APPROVE),
    scenario("v1 v2 -d d --max-flips 9 --json {}/x --junit {}/x", 2, "name another one"),
    scenario("--old-file {}/v1.csv --new-file {}/doubled.csv --max-nfr 0.1", 2, "doubled holds more than once: 1 samp"),
    scenario("--old-file {}/v1.csv --new-file {}/short.csv --max-nfr 0.1", 2, "short lacks 1 sample ('c199')"),
    scenario("--old-file {}/v1.csv --new-file {}/apart.csv --max-nfr 0.1", 2, "no sample is in both"),
    scenario("--old-file {}/v1.csv --new-file {}/regraded.csv --max-nfr 0.1", 2, "another right answer than v1 for 1"),
    scenario("--old-file {}/v1.csv --new-file {}/v1.csv --max-nfr 0.1", 2, "the same file"),
    scenario("--old-file {}/v1.csv --max-nfr 0.1", 2, "--old-file needs --new-file"),
    scenario("--old-file {}/v1.csv --new-file {}/v2.csv -d d --max-nfr 0.1", 2, "leave it out"),
    scenario("--new-file {}/v2.csv --max-nfr 0.1", 2, "name the file of the old version or an approved baseline"),
    scenario(f"--new-file {{}}/regraded.csv --max-nfr 0.1 {BASE}", 2, "another right answer than v1", APPROVE),
    scenario(f"v2 -d d --max-flips 9 {BASE}", 2, "was made from files", "approve --old-file {}/v1.csv --out {}/b.json"),
]


@pytest.mark.parametrize(("arguments", "code", "words", "before"), SCENARIOS)
def test_scenarios_end_with_their_exit_code(
    arguments: str, code: int, words: str, before: str, place: Path, muscle: Callable
) -> None:
    def split(text: str) -> list[str]:
        return text.replace("{}", str(place)).split()

    if before:
        assert muscle("gate", *split(before))[0] == 0
    files = {path: path.read_bytes() for path in place.glob("*.*")}
    got, said = muscle("gate", *split(arguments))
    assert (got, words in said) == (code, True), said
    assert ("PASSED" in said, "REGRESSION" in said) == (code == 0, code == 100)
    assert {path: path.read_bytes() for path in place.glob("*.*")} == files  # nothing new, nothing changed


def test_at_least_twenty_scenarios_in_each_way_to_end() -> None:
    codes = [case.values[1] for case in SCENARIOS]
    assert len(SCENARIOS) >= 20
    assert set(codes) == {0, 2, 100}


def test_exit_codes_of_the_process(place: Path) -> None:
    def code(*arguments: str) -> int:
        command = [sys.executable, "-m", "muscle_core", "gate", "v1", "v2", "-d", "d", *arguments]
        return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, timeout=120).returncode

    assert code("--max-nfr", "0.02") == 0
    assert code("--max-nfr", "0.01") == 100
    assert code("--max-nfr", "nan") == 2
    assert code() == 2


def test_two_files_need_no_workspace(place: Path, muscle: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(place / "none"))
    files = ["--old-file", f"{place}/v1.csv", "--new-file", f"{place}/v2.csv"]
    assert muscle("gate", *files, "--max-flips", "4")[0] == 0
    assert muscle("gate", "before", "after", *files, "--max-flips", "3")[1].startswith("REGRESSION: before -> after")
    assert not (place / "none").exists()


def test_a_changed_or_damaged_baseline_is_never_a_pass(place: Path, muscle: Callable, workspace: Workspace) -> None:
    muscle("gate", "approve", "v1", "-d", "d", "--out", place / "b.json", "--by", "Ana")
    text = (place / "b.json").read_text()
    record = json.loads(text)
    assert (record["version"]["name"], record["approved_by"], len(record["samples"])) == ("v1", "Ana", N)
    assert record["dataset"]["fingerprint"] == list_datasets(workspace)[0].fingerprint
    for damaged in (text[:-40], text.replace('"correct": true', '"correct": false', 1), text.replace(" ", "", 1), ""):
        (place / "b.json").write_text(damaged)
        code, said = muscle("gate", "v1", "v2", "-d", "d", "--max-flips", "9", "--baseline", place / "b.json")
        equal = json.loads(damaged or "0") == record if damaged.endswith("}\n") else False
        assert code == (0 if equal else 2), said


def test_only_an_explicit_approval_writes_a_baseline(place: Path, muscle: Callable) -> None:
    out = place / "b.json"
    approve = ["gate", "approve", "v1", "-d", "d", "--out", out]
    assert muscle(*approve)[0] == 0
    before = out.read_bytes()
    code, said = muscle(*approve)
    assert code == 2
    assert "--force" in said
    assert out.read_bytes() == before
    assert muscle(*approve, "--force", "--max-nfr", "0.02")[0] == 0
    assert json.loads(out.read_text())["thresholds"]["max_nfr"] == 0.02
    for wrong, words in (
        (["--accept", "c100"], "of a second version only"),
        (["--max-nfr", "7"], "2 % is 0.02"),
    ):
        code, said = muscle(*approve, "--force", *wrong)
        assert (code, words in said) == (2, True), said
    code, said = muscle("gate", "approve", "v1", "v2", "-d", "d", "--out", out, "--force", "--accept", "c0")
    assert (code, "only negative flips can be accepted" in said) == (2, True), said
    code, said = muscle("gate", "approve", "part", "-d", "d", "--out", place / "p.json")
    assert (code, "part lacks 3 samples" in said, (place / "p.json").exists()) == (2, True, False), said
    assert sorted(path.name for path in place.glob("*.partial")) == []


def test_accepted_flips_come_from_the_candidate_and_the_rest_counts(place: Path, muscle: Callable) -> None:
    (place / "ok.txt").write_text("# looked at by Ana\nc100\n\nc101\n")
    muscle("gate", "approve", "v1", "v2", "-d", "d", "--out", place / "b.json", "--accept-file", place / "ok.txt")
    assert json.loads((place / "b.json").read_text())["accepted"] == ["c100", "c101"]
    gate = ["gate", "v1", "v2", "-d", "d", "--baseline", place / "b.json", "--json", "-", "--max-flips", "1"]
    code, said = muscle(*gate, "--allow", "c102")
    found = json.JSONDecoder().raw_decode(said)[0]
    assert code == 0
    flips = {what: [flip["sample_id"] for flip in rows] for what, rows in found["negative_flips"].items()}
    assert flips == {"counted": ["c103"], "allowed": ["c102"], "accepted": ["c100", "c101"]}
    code, said = muscle("gate", "v3", "-d", "d", "--baseline", place / "b.json", "--max-flips", "1")
    assert "2 of 2 ids accepted in the baseline are no negative flips here" in said


_ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time", "disabled"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time", "status", "assertions"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}
_CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "skipped"},
}


def checked_junit(path: Path) -> ElementTree.Element:
    """The root of a JUnit file whose elements, attributes and counts are those of the usual schema."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= _ATTRIBUTES[element.tag], element.tag
        assert {child.tag for child in element} <= _CHILDREN.get(element.tag, set()), element.tag
    (suite,) = root
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == int(root.attrib["tests"]) == len(cases)
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[count]) == len(suite.findall(f"testcase/{tag}"))
    keys = [(case.attrib["classname"], case.attrib["name"]) for case in cases]
    assert len(set(keys)) == len(keys)
    return root


def test_junit_has_a_case_for_each_limit_and_each_flip(place: Path, muscle: Callable) -> None:
    gate = ["gate", "v1", "v2", "-d", "d", "--allow", "c100", "--junit", place / "j.xml", "--json", place / "j.json"]
    muscle(*gate, "--max-flips", "2", "--min-accuracy-change", "0")
    root = checked_junit(place / "j.xml")
    cases = {case.attrib["name"]: [child.tag for child in case] for case in root.iter("testcase")}
    flips = {f"c{n}": ["failure"] for n in (101, 102, 103)}
    assert cases == {"max_flips": ["failure"], "min_accuracy_change": [], **flips}
    report = json.loads((place / "j.json").read_text(), parse_constant=pytest.fail)
    assert (report["status"], report["passed"], report["about"]["dataset"]) == ("regression", False, "d")
    # Flips within the limit do not turn a green pipeline red.
    muscle(*gate, "--max-flips", "3")
    cases = {
        case.attrib["name"]: [child.tag for child in case] for case in checked_junit(place / "j.xml").iter("testcase")
    }
    assert cases == {"max_flips": [], **{name: ["skipped"] for name in flips}}
    assert json.loads((place / "j.json").read_text())["status"] == "passed"


def test_a_refused_gate_replaces_the_results_of_an_earlier_one(place: Path, muscle: Callable) -> None:
    outputs = ["--junit", place / "j.xml", "--json", place / "j.json"]
    assert muscle("gate", "v1", "v2", "-d", "d", "--max-flips", "9", *outputs)[0] == 0
    assert muscle("gate", "v1", "part", "-d", "d", "--max-flips", "9", *outputs)[0] == 2
    assert json.loads((place / "j.json").read_text())["status"] == "refused"
    (case,) = checked_junit(place / "j.xml").iter("testcase")
    assert [child.tag for child in case] == ["error"]
    assert "lacks 3 samples" in case[0].attrib["message"]


def test_a_bug_does_not_leave_the_results_of_an_earlier_gate(
    place: Path, muscle: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = ["gate", "v1", "v2", "-d", "d", "--max-flips", "9", "--json", place / "j.json"]
    assert muscle(*gate)[0] == 0
    monkeypatch.setattr("muscle_core.actions.updates.gate.gate", lambda *arguments, **options: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["muscle_core", *map(str, gate)])
    with pytest.raises(ZeroDivisionError):
        cli.main()
    assert json.loads((place / "j.json").read_text())["status"] == "refused"


def test_where_one_result_cannot_be_written_none_is(
    place: Path, muscle: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "j.json").write_text("earlier")
    synced = os.fsync
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        synced(handle)

    monkeypatch.setattr(os, "fsync", full)
    outputs = ["--junit", place / "j.xml", "--json", place / "j.json"]
    code, said = muscle("gate", "v1", "v2", "-d", "d", "--max-flips", "9", *outputs)
    assert (code, "No space left" in said) == (2, True), said
    assert (place / "j.json").read_text() == "earlier"
    assert not (place / "j.xml").exists()
    assert list(place.glob(".*")) == []


def test_ids_and_answers_of_any_kind_make_well_formed_files(tmp_path: Path, muscle: Callable) -> None:
    odd = ["a\x00b", "\x1b[31mred", "<&>\"'", "]]>", "\ufffe", "é\u2028", "😀", "x" * 5000]
    for name, right in (("o", True), ("n", False)):
        rows = [{"id": f"{k}{text}", "prediction": text + name, "correct": right} for k, text in enumerate(odd)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = ["--old-file", tmp_path / "o.jsonl", "--new-file", tmp_path / "n.jsonl"]
    code, said = muscle(
        "gate", *files, "--max-flips", "1", "--junit", tmp_path / "j.xml", "--json", tmp_path / "j.json"
    )
    assert code == 100
    assert "\x1b" not in said
    assert len(list(checked_junit(tmp_path / "j.xml").iter("testcase"))) == len(odd) + 1
    found = json.loads((tmp_path / "j.json").read_text())["negative_flips"]["counted"]
    assert [flip["sample_id"] for flip in found] == [f"{k}{text}" for k, text in enumerate(odd)]


@pytest.mark.real
def test_the_real_llama_update_against_limits_around_its_known_flips(
    real_data: Path, tmp_path: Path, muscle: Callable
) -> None:
    rows = list(csv.DictReader((real_data / "gsm8k_llama3_8b_to_3.1_8b" / "scores.csv").read_text().splitlines()))
    for side in ("old", "new"):
        lines = [f"{row['id']},{row[f'{side}_answer']},{row[f'{side}_correct']},{row['gold']}" for row in rows]
        (tmp_path / f"{side}.csv").write_text("\n".join(["id,prediction,correct,gold", *lines]) + "\n")

    def ends(*limits: str) -> tuple[int, str]:
        return muscle("gate", "--old-file", tmp_path / "old.csv", "--new-file", tmp_path / "new.csv", *limits)

    code, said = ends("--max-nfr", "0.0660", "--max-flips", "87", "--min-accuracy-change", "0.05")
    assert code == 0
    assert "negative flip rate 6.60 % (87 of 1,319) is within the limit of at most 6.60 %" in said
    assert "accuracy changed by +5.53 points on 1,319 samples" in said
    assert ends("--max-flips", "86")[0] == 100
    assert ends("--max-nfr", "0.0659")[0] == 100
    assert "too few samples to tell" in ends("--max-nfr", "0.07", "--rule", "upper")[1]
    assert ends("--max-nfr", "0.09", "--min-accuracy-change", "0.03", "--rule", "upper")[0] == 0
    assert muscle("gate", "approve", "--old-file", tmp_path / "old.csv", "--out", tmp_path / "b.json")[0] == 0
    later = ["--new-file", tmp_path / "new.csv", "--baseline", tmp_path / "b.json"]
    code, said = muscle("gate", *later, "--max-flips", "86")
    assert (code, "negative flips that count: 87" in said) == (100, True)
