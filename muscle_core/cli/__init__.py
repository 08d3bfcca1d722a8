"""The commands of `python -m muscle_core`. Each calls one function of the library; messages go to standard error.

Exit codes: 0 done; 2 refused or failed, with a message that says why; 130 interrupted; 1 a bug, with its traceback.
What became of background work is told by `jobs show`, not by the exit code of `worker` or of `--background`.
"""

from __future__ import annotations

import sys

import sqlalchemy as sa
import typer

from muscle_core.cli import evaluate, history, jobs, library, power, recipes, share, train, workspace
from muscle_core.errors import MuscleError
from muscle_core.paths import system_text

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(evaluate.app)
app.add_typer(history.app)
app.add_typer(train.train_app, name="train")
app.add_typer(library.models_app, name="models")
app.add_typer(library.datasets_app, name="datasets")
app.add_typer(library.runs_app, name="runs")
app.add_typer(jobs.jobs_app, name="jobs")
app.add_typer(jobs.app)
app.add_typer(recipes.app)
app.add_typer(workspace.workspace_app, name="workspace")
app.add_typer(workspace.delete_app, name="delete")
app.add_typer(workspace.app)
app.add_typer(share.app)
app.add_typer(power.app)


def main() -> None:
    """Entry point: errors of the library and of the system become one clear message and exit code 2.

    Typer itself ends with 2 for wrong usage and with 130 for an interruption.
    """
    try:
        app()
    except MuscleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {system_text(error)}", file=sys.stderr)
        sys.exit(2)
    except sa.exc.OperationalError as error:  # locked for long, or its server is away
        print(f"error: the workspace database does not answer: {error.orig}", file=sys.stderr)
        sys.exit(2)
