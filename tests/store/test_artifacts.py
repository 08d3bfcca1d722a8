"""The shared place of artefacts: whole or invisible, checked, and clear about what fails. S3 is a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from s3 import Line, Server

from muscle_core.errors import StoreError
from muscle_core.store import Artifacts, ArtifactsUnreachable, Workspace, artifacts
from muscle_core.store.manifest import Manifest

BIG = 300_000


@pytest.fixture(params=["s3", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    if request.param == "s3":
        return Artifacts(f"s3://{request.getfixturevalue('bucket')}/team/")
    if request.param == "file":
        (tmp_path / "mounted").mkdir()
        return Artifacts(f"file://{tmp_path}/mounted")
    return Artifacts(f"memory://{tmp_path.name}")


@pytest.fixture
def line(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch):
    """A line to the S3 server that can be cut; the environment leads through it."""
    made = Line(s3.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
    yield made
    made.close()


def _folder(path: Path, size: int = 10, files: int = 3) -> Path:
    (path / "deep").mkdir(parents=True)
    for number in range(files):
        (path / f"part-{number}").write_bytes(os.urandom(size))
    (path / "deep" / "note").write_text("x")
    return path


def _content(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_files_and_folders_arrive_whole(place: Artifacts, tmp_path: Path) -> None:
    folder, file = _folder(tmp_path / "made"), tmp_path / "made" / "part-0"
    assert place.fetch("adapters/x", tmp_path / "nothing") is None
    content = place.publish("adapters/x", folder)
    place.publish("datasets/d.parquet", file)
    assert place.fetch("adapters/x", tmp_path / "got") == content == place.content_of("adapters/x")
    assert _content(tmp_path / "got") == _content(folder)
    place.fetch("datasets/d.parquet", tmp_path / "new folder" / "d.parquet")
    assert (tmp_path / "new folder" / "d.parquet").read_bytes() == file.read_bytes()
    assert list(place.everything()) == ["adapters/x", "datasets/d.parquet"]
    assert (place.names("adapters"), place.names("jobs")) == (["x"], [])
    assert all(abs((datetime.now(UTC) - changed).total_seconds()) < 60 for changed in place.everything().values())
    assert not list(tmp_path.rglob("*.partial"))


def test_new_content_takes_the_place_of_the_old(place: Artifacts, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    for text in ("one", "one and two", "one and two"):
        log.write_text(text)
        place.publish("jobs/j/log.txt", log)
    log.unlink()
    place.fetch("jobs/j/log.txt", log)
    assert log.read_text() == "one and two"
    assert len(place.names("jobs/j/log.txt")) == 2  # the manifest and one content


def test_what_is_removed_is_gone(place: Artifacts, tmp_path: Path) -> None:
    for key in ("jobs/j/checkpoints/checkpoint-1", "jobs/j/checkpoints/checkpoint-2", "jobs/j/log.txt"):
        place.publish(key, _folder(tmp_path / key))
    place.remove("jobs/j/checkpoints")
    place.remove("jobs/j/checkpoints")
    assert list(place.everything()) == ["jobs/j/log.txt"]
    assert place.fetch("jobs/j/checkpoints/checkpoint-1", tmp_path / "got") is None


def test_many_fetch_the_same_at_once(bucket: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "made")
    Artifacts(f"s3://{bucket}").publish("adapters/x", folder)
    places = [Artifacts(f"s3://{bucket}") for _ in range(6)]
    failures: list[BaseException] = []

    def fetch(place: Artifacts) -> None:
        try:
            place.fetch("adapters/x", tmp_path / "got")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=fetch, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _content(tmp_path / "got") == _content(folder)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_killed_publication_is_invisible_and_can_be_repeated(
    line: Line, s3: Server, bucket: str, tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "made", size=BIG)
    code = (
        "import sys, pathlib; from muscle_core.store import Artifacts; "
        "Artifacts(sys.argv[1]).publish('adapters/x', pathlib.Path(sys.argv[2]))"
    )
    line.stall_after(2 * BIG)
    child = subprocess.Popen([sys.executable, "-c", code, f"s3://{bucket}", str(folder)])
    assert line.stalled.wait(60)
    child.send_signal(signal.SIGKILL)
    child.wait()
    line.mend()
    place = Artifacts(f"s3://{bucket}")
    assert 1 <= s3.client().list_objects_v2(Bucket=bucket)["KeyCount"] < 4
    assert list(place.everything()) == ["adapters/x"]  # for a clean-up
    assert place.fetch("adapters/x", tmp_path / "got") is None
    assert not (tmp_path / "got").exists()
    place.publish("adapters/x", folder)
    place.fetch("adapters/x", tmp_path / "got")
    assert _content(tmp_path / "got") == _content(folder)


def test_a_line_that_is_cut_in_the_middle_leaves_what_was_visible(
    line: Line, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "_WAITS", (0.1,))  # it stays cut
    place = Artifacts(f"s3://{bucket}")
    before, after = _folder(tmp_path / "before"), _folder(tmp_path / "after", size=BIG)
    kept = _content(after)
    place.publish("adapters/x", before)
    line.cut_after(2 * BIG)
    with pytest.raises(ArtifactsUnreachable, match=rf"s3://{bucket} cannot be written.*Check the URL"):
        place.publish("adapters/x", after)
    assert _content(after) == kept
    line.mend()
    place.fetch("adapters/x", tmp_path / "got")
    assert _content(tmp_path / "got") == _content(before)
    place.publish("adapters/x", after)
    place.fetch("adapters/x", tmp_path / "new")
    assert _content(tmp_path / "new") == kept


def test_a_short_failure_is_waited_out(line: Line, bucket: str, tmp_path: Path) -> None:
    place, folder = Artifacts(f"s3://{bucket}"), _folder(tmp_path / "made", size=BIG)
    place.names("adapters")
    line.cut_after(BIG)
    mender = threading.Timer(1.0, line.mend)
    mender.start()
    place.publish("adapters/x", folder)
    mender.join()
    place.fetch("adapters/x", tmp_path / "got")
    assert _content(tmp_path / "got") == _content(folder)


def test_a_changed_object_is_refused_by_its_checksum(s3: Server, bucket: str, tmp_path: Path) -> None:
    place = Artifacts(f"s3://{bucket}/team")
    content = place.publish("adapters/x", _folder(tmp_path / "made"))
    object_key = f"team/adapters/x/{content}/part-1"
    s3.client().put_object(Bucket=bucket, Key=object_key, Body=b"0123456789")
    with pytest.raises(StoreError, match=r"adapters/x at s3://\w+/team is damaged: part-1 has 10 bytes .* published"):
        place.fetch("adapters/x", tmp_path / "got")
    s3.client().delete_object(Bucket=bucket, Key=object_key)
    with pytest.raises(StoreError, match="damaged: files that its manifest names are missing"):
        place.fetch("adapters/x", tmp_path / "got")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"folder": true, "files": {}}',
        '{"folder": true, "files": {"../../etc/passwd": [1, "x"]}}',
        '{"folder": true, "files": {"/etc/passwd": [1, "x"]}}',
        '{"folder": true, "files": {"a\\\\..\\\\b": [1, "x"]}}',
        '{"folder": false, "files": {"a": [1, "x"], "b": [1, "x"]}}',
    ],
)
def test_a_manifest_that_is_none_or_leads_elsewhere_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "there" / "d").mkdir(parents=True)
    (tmp_path / "there" / "d" / "_manifest.json").write_text(text)
    place = Artifacts(f"file://{tmp_path}/there")
    with pytest.raises(StoreError, match="damaged"):
        place.fetch("d", tmp_path / "got")
    with pytest.raises(StoreError, match="damaged"):
        place.content_of("d")
    (tmp_path / "made").write_text("x")
    place.publish("d", tmp_path / "made")
    assert place.fetch("d", tmp_path / "got") is not None


def test_a_manifest_reads_what_it_wrote(tmp_path: Path) -> None:
    for path in (_folder(tmp_path / "made"), tmp_path / "made" / "part-0"):
        manifest = Manifest.of(path, "name")
        assert Manifest.parse(manifest.text()) == manifest


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "PermissionError.*Check the keys"),
        ({"AWS_ACCESS_KEY_ID": "AKIAWRONG"}, "PermissionError.*Check the keys"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "HOME": "/nowhere"},
            "NoCredentials.*Check the keys",
        ),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "EndpointConnectionError.*127.0.0.1:9.*AWS_ENDPOINT_URL"),
    ],
)
def test_what_s3_refuses_is_said_without_its_traceback(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str | None], words: str
) -> None:
    monkeypatch.setattr(artifacts, "_WAITS", (0.1,))
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    place = Artifacts(f"s3://{bucket}/team")
    with pytest.raises(ArtifactsUnreachable, match=rf"s3://{bucket}/team cannot be read: {words}"):
        place.fetch("adapters/x", tmp_path / "got")


def test_a_place_that_is_not_there_is_refused(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for url, what in ((f"s3://{bucket}-not/x", "no bucket"), (f"file://{tmp_path}/not-mounted", "no folder")):
        for ask in (
            lambda place: place.publish("x", tmp_path / "file"),
            lambda place: place.fetch("x", tmp_path / "y"),
        ):
            with pytest.raises(ArtifactsUnreachable, match=f"{what}.*Make"):
                ask(Artifacts(url))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s4://bucket/x", "s4://bucket/x cannot be used: Protocol not known: s4.*Write it as s3://"),
        ("gs://bucket/x", "needs a package that is not installed.*gcsfs.*requirements-s3.txt"),
        ("sftp://me:secret@host/x", "sftp://…@host/x needs a package"),
        ("file:///", "names no bucket or folder"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, url: str, words: str) -> None:
    monkeypatch.setenv("MUSCLE_ARTIFACTS", url)
    with pytest.raises(StoreError, match=f"MUSCLE_ARTIFACTS.*{words}") as caught:
        Workspace.open()
    assert "secret" not in str(caught.value)


def test_without_the_variable_there_is_no_place_and_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_ARTIFACTS", " ")
    workspace = Workspace.open()
    assert workspace.artifacts is None
    workspace.publish("not/there")
    assert not workspace.local("not/there").exists()
    workspace.discard("not/there")
    workspace.close()
    code = "from muscle_core.store import Workspace; Workspace.open(); import sys; print('fsspec' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
