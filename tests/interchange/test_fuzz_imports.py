"""A thousand damaged files of all formats: each is imported whole or refused with a message, never in part.

Seeds are counted up, so that a failure names the file that made it (see `damaged`).
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from logs import LOGS, choice_line, comparator, text_line

from muscle_core.actions.imports.outputs import import_log
from muscle_core.actions.imports.preview import preview_import
from muscle_core.actions.updates.compare import predictions_of
from muscle_core.errors import MuscleError
from muscle_core.interchange import ImportColumns, LogOptions
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace

TABLES, FOLDERS = (ModelVersion, Dataset, EvaluationRun), ("datasets", "predictions")

ODD: list[Any] = [
    *(None, "", " ", 0, -1, 1.5, 10**400, True, [], {}, [[]], {"a": {"b": []}}, "\ud800", "\0", "\u2028", "é" * 3000),
    *(float("nan"), float("inf"), "nan", "-inf", "1e999", "True", [None], ["x", 1], "x" * 100_000, {"": ""}, -0.0),
]  # fmt: skip
SPLICES = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"NaN", b"Infinity", b"{", b"}", b'"', b",", b"[" * 2000, b"\r",
           b"\n\n", b"\\ud800", b"1" * 5000, b"\xc3", b"null", b"PK\x03\x04"]  # fmt: skip
COLUMNS = ImportColumns(prediction="said", correct="ok", input="q", gold="right", output="text")


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _table() -> list[dict[str, Any]]:
    return [{"id": f"i{n}", "q": f"what is {n}?", "right": str(n), "said": str(n % 2), "ok": n % 2, "text": f"t {n}"}
            for n in range(5)]  # fmt: skip


def _csv(rows: list[dict[str, Any]]) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(rows).to_parquet(buffer)
    return buffer.getvalue()


MATRIX = [{"id": f"i{n}", "gold": n, "m1": n % 2, "m2": 1, "m3": None if n == 2 else 0} for n in range(5)]


def _inspect_json() -> dict[str, Any]:
    log = json.loads((LOGS / "inspect" / "animals-new.json").read_text(encoding="utf-8"))
    for sample in log["samples"]:
        sample["events"] = []
    return log


CHOICE = [choice_line(n, [-1.0, -2.0 + n, -3.0], n % 3) for n in range(4)]
TEXT = [text_line(n, str(n % 2), n % 2) for n in range(4)]
# Name, file name, bytes, the object that structural damage is done to and how it is written (None: bytes only).
SOURCES: list[tuple[str, str, bytes, Any, Callable[[Any], bytes] | None, dict[str, Any]]] = [
    ("lm-eval text", "s.jsonl", _lines(TEXT), TEXT, _lines, {}),
    ("lm-eval choice", "s.jsonl", _lines(CHOICE), CHOICE, _lines, {"options": LogOptions(metric="acc_norm")}),
    ("comparator", "c.json", json.dumps(comparator()).encode(), comparator(), lambda o: json.dumps(o).encode(), {}),
    ("inspect json", "l.json", b"", _inspect_json(), lambda o: json.dumps(o).encode(), {}),
    ("inspect eval", "l.eval", (LOGS / "inspect" / "animals-old.eval").read_bytes(), None, None, {}),
    ("csv", "t.csv", _csv(_table()), _table(), _csv, {"columns": COLUMNS}),
    ("jsonl", "t.jsonl", _lines(_table()), _table(), _lines, {"columns": COLUMNS}),
    ("parquet", "t.parquet", _parquet(_table()), _table(), _parquet, {"columns": COLUMNS}),
    ("wide csv", "m.csv", _csv(MATRIX), MATRIX, _csv, {}),
    ("wide parquet", "m.parquet", _parquet(MATRIX), MATRIX, _parquet, {}),
]


def _damage_bytes(content: bytes, draw: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 3, 10))):
        if not data:
            break
        at = draw.randrange(len(data))
        kind = draw.randrange(6)
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = draw.choice(SPLICES)
        elif kind == 3:
            end = min(len(data), at + draw.randrange(1, 40))
            data[at:end] = b""
        elif kind == 4:
            end = min(len(data), at + draw.randrange(1, 200))
            data[at:at] = data[at:end]
        else:
            data[at] = draw.randrange(256)
    return bytes(data)


def _damage_encoding(content: bytes, draw: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    return draw.choice([
        text.encode("utf-16"), text.encode("utf-16-be"), b"\xef\xbb\xbf" + content,
        text.encode("latin-1", "replace"), text.replace("what", "qu\u00e9").encode("latin-1", "replace"),
        text.encode("utf-32"), b"", b"\n \n", b"\0" * 100, content + content,
        content.replace(b"\n", b"\r\n"), content.replace(b"\n", b"\r"), b"null", b"[]", b"{}", b"[1]",
    ])  # fmt: skip


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        _places(value[key], found)
    return found


def _damage_object(found: Any, draw: random.Random) -> Any:
    found = json.loads(json.dumps(found))
    for _ in range(draw.choice((1, 1, 2, 5))):
        places = _places(found, [])
        if not places:
            break
        holder, key = draw.choice(places)
        kind = draw.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.append(json.loads(json.dumps(holder[key])))
        elif kind == 2:
            other, other_key = draw.choice(places)
            holder[key] = json.loads(json.dumps(other[other_key] if _has(other, other_key) else None))
        else:
            holder[key] = draw.choice(ODD)
    return found


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _damage_zip(content: bytes, draw: random.Random) -> bytes:
    """Change what is inside a log, leaving the archive itself in order."""
    import zipfile_zstd  # noqa: F401  (teaches zipfile the compression that Inspect uses)

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        names = source.namelist()
        chosen = draw.choice(names)
        for name in names:
            data = source.read(name)
            if name == chosen:
                kind = draw.randrange(5)
                if kind == 0:
                    continue
                if kind == 1:
                    data = b" " * 3_000_000
                elif kind == 2:
                    data = _damage_bytes(data, draw)
                else:
                    data = json.dumps(_damage_object(json.loads(data), draw)).encode()
            target.writestr(name, data)
        if draw.random() < 0.1:
            target.writestr(draw.choice(["../../etc/evil", "/abs", "samples/\0.json", "header.json/x"]), b"{}")
    return out.getvalue()


def damaged(seed: int) -> tuple[str, str, bytes, dict[str, Any]]:
    """The damaged file of a seed: what it was, its name, its content, and how it is imported."""
    draw = random.Random(seed)
    name, file, content, parsed, write, arguments = SOURCES[seed % len(SOURCES)]
    if not content and write is not None:
        content = write(parsed)
    kind = draw.random()
    if write is None:
        content = _damage_zip(content, draw) if kind < 0.6 else _damage_bytes(content, draw)
    elif kind < 0.5:
        changed = _damage_object(parsed, draw)
        try:
            if write in (_csv, _parquet) and not all(isinstance(row, dict) for row in changed):
                raise TypeError("no rows of a table")
            content = write(changed)
        except Exception:  # what pandas or JSON cannot even write is no file
            content = _damage_bytes(content, draw)
    elif kind < 0.6:
        content = _damage_encoding(content, draw)
    else:
        content = _damage_bytes(content, draw)
    if draw.random() < 0.1:
        file = draw.choice(["x", "x.json", "x.csv", "x.jsonl", "x.parquet", "x.eval"])
    return name, file, content, arguments


def _state(workspace: Workspace) -> tuple[Any, ...]:
    """What must not change where a file is refused."""
    files = [sorted(path.name for path in workspace.path(name).glob("*")) for name in FOLDERS]
    with workspace.reading() as session:
        counts = [session.scalar(sa.select(sa.func.count()).select_from(t)) for t in TABLES]
    return counts, files


def _try(workspace: Workspace, file: Path, seed: int) -> tuple[str, MuscleError | None]:
    """Import the damaged file of a seed and check that it is there whole or not at all."""
    what, _, _, arguments = damaged(seed)
    many = what == "comparator" or "wide" in what
    before = _state(workspace)
    try:
        done = import_log(workspace, file, version="-" if many else "v", dataset=f"d{seed}", **arguments)
    except MuscleError as error:
        refusal = error
    except BaseException as error:
        raise AssertionError(f"seed {seed} ({what}): {type(error).__name__}: {error}") from error
    else:
        for run in done.runs:
            frame = predictions_of(workspace, run.run)
            assert len(frame) == run.run.rows, seed
            assert frame["sample_id"].is_unique, seed
        return "imported", None
    assert _state(workspace) == before, f"seed {seed} ({what}): refused, but something was written"
    assert str(refusal).strip(), seed
    assert "Traceback" not in str(refusal), seed
    return "refused", refusal


def _import_all(folder: Path, seeds: range) -> Counter[str]:
    told: Counter[str] = Counter()
    for seed in seeds:
        if seed == seeds.start or seed % 100 == 0:  # a small workspace is looked through faster
            workspace = Workspace.open(folder / f"w{seed}")
        _, name, content, _ = damaged(seed)
        file = folder / name
        file.write_bytes(content)
        told[_try(workspace, file, seed)[0]] += 1
        file.unlink()
    return told


def test_damaged_files_are_imported_whole_or_refused(tmp_path: Path) -> None:
    told = _import_all(tmp_path, range(1000))
    assert sum(told.values()) == 1000
    assert told["refused"] > 400
    assert told["imported"] > 100  # damage that leaves a file that can be read


def test_what_the_preview_says_of_damaged_files_is_what_the_import_does(workspace: Workspace, tmp_path: Path) -> None:
    for seed in range(5000, 5100):
        what, name, content, arguments = damaged(seed)
        file = tmp_path / name
        file.write_bytes(content)
        many = what == "comparator" or "wide" in what
        found = preview_import(workspace, file, version="-" if many else "v", dataset=f"d{seed}", **arguments)
        result, refusal = _try(workspace, file, seed)
        assert bool(found.problems) == (result == "refused"), seed
        if refusal is not None:
            assert found.problems == (refusal.problems or (str(refusal),)), seed


@pytest.mark.slow
def test_more_damaged_files_are_imported_whole_or_refused(tmp_path: Path) -> None:
    told = _import_all(tmp_path, range(10_000, 16_000))
    assert sum(told.values()) == 6000
