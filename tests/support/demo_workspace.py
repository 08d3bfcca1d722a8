"""The demo's workspace, loaded once for all processes that run tests side by side."""

from __future__ import annotations

import fcntl
from pathlib import Path


def loaded_once(root: Path) -> Path:
    """Folder of the demo's workspace, which nobody may change; loaded by the real loader where it is not there yet.

    Args:
        root: a folder that the processes share.
    """
    from muscle_core.actions.library.demo import load_demo
    from muscle_core.store import Workspace

    home = root / "demo-workspace"
    with (root / "demo.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            partial = root / "demo-workspace.partial"
            workspace = Workspace.open(partial)
            load_demo(workspace)
            workspace.close()
            partial.rename(home)
    return home
