"""One process a job and machine: a lock that the kernel holds for the job's process, with a note of who that is."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

import psutil

REFUSED = 75  # exit code of a child that finds another one at work ("temporary failure" in sysexits.h)
_FILE = "run.lock"
_PATIENCE_SECONDS = 0.5  # whoever asks for the holder has the lock for an instant


def take_run_lock(folder: Path, token: str | None) -> IO[str] | None:
    """Take the lock of a job's folder, and note this process under it; None where another process holds it.

    The note holds the start time too: a process id alone may be another process by the time it is read.
    """
    stream = (folder / _FILE).open("a+")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                stream.close()
                return None
        time.sleep(0.05)
    stream.truncate(0)
    started = psutil.Process().create_time()
    stream.write(json.dumps({"pid": os.getpid(), "create_time": started, "token": token}))
    stream.flush()
    return stream


def holder(folder: Path) -> psutil.Process | None:
    """The living process that holds the lock of a job's folder, or None."""
    try:
        with (folder / _FILE).open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None  # nobody holds it, whatever the note says
            except BlockingIOError:
                note = json.loads(stream.read())
        process = psutil.Process(note["pid"])
        if abs(process.create_time() - note["create_time"]) < 0.05 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except (OSError, ValueError, KeyError, psutil.Error):
        pass  # no note yet, or it has just ended
    return None
