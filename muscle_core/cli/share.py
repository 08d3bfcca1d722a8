"""The command that brings a workspace to the place that several machines share."""

from __future__ import annotations

import typer

from muscle_core.cli.shared import say, say_now_and_then, workspace_here

app = typer.Typer()


@app.command("share")
def share_command() -> None:
    """Publish what this machine's workspace folder holds at MUSCLE_ARTIFACTS, once, where that is new.

    What is made afterwards is published when it is made.
    """
    from muscle_core.actions.upkeep.sharing import share_workspace

    done = share_workspace(workspace_here(), report=say_now_and_then())
    print(f"{done.published:,} artefacts of this machine are shared")
    for path in done.missing:
        say(f"neither here nor shared: {path} (run share on the machine that made it)")
