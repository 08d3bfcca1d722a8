"""Commands for the whole workspace: copy, back up, restore, migrate, look at the disk, clean up, delete, examine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muscle_core.cli.shared import print_table, say, workspace_here
from muscle_core.errors import StoreError
from muscle_core.paths import local_path
from muscle_core.store import Job, Workspace
from muscle_core.store.disk import size_text

app = typer.Typer()
workspace_app = typer.Typer(no_args_is_help=True, help="The workspace: copy, backup, restore, migrate, disk, gc.")
delete_app = typer.Typer(no_args_is_help=True, help="Delete an object; without --yes, only show what would go.")

YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without this, only show what would be done.")]
DependentsOption = Annotated[bool, typer.Option("--with-dependents", help="Delete what depends on it too.")]


@workspace_app.command("copy")
def workspace_copy(
    to: Annotated[str, typer.Option(help="Folder, or postgresql+psycopg://user:password@host/name; empty.")],
) -> None:
    """Copy all rows to another database; to another folder, the files too.

    Where only the database changes, the files stay where they are: set MUSCLE_DATABASE_URL to the new database.
    """
    from muscle_core.store.copying import copy_database
    from muscle_core.store.database import engine_of
    from muscle_core.store.snapshot import copy_workspace

    workspace = workspace_here()
    _warn_of_running_jobs(workspace)
    if "://" in to:
        target = engine_of(to, "--to")
        try:
            counts = copy_database(workspace.engine, target)
        finally:
            target.dispose()
        _print_counts(counts)
        print("The files stay in the workspace folder. Set MUSCLE_DATABASE_URL to work with the copy.")
        return
    taken = copy_workspace(workspace, local_path(to, StoreError).resolve())
    _print_counts(taken.counts)
    print(f"copied {len(taken.files):,} files")
    _tell_missing(taken.missing)


@workspace_app.command("backup")
def workspace_backup(
    file: Annotated[Path, typer.Argument(help="File to write, for example backup.tar.zst; must not be there yet.")],
    teachers: Annotated[bool, typer.Option("--teachers", help="With the teacher stores, a large cache.")] = False,
) -> None:
    """Write the whole workspace into one file; workers may go on meanwhile."""
    from muscle_core.store.backup import write_backup

    made = write_backup(workspace_here(), local_path(file, StoreError).resolve(), teachers=teachers)
    _print_counts(made.counts)
    size = size_text(made.file.stat().st_size)
    print(f"wrote {made.file}: {made.files:,} files, {size_text(made.size)}, compressed {size}")
    _tell_missing(made.missing)


@workspace_app.command("restore")
def workspace_restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    home: Annotated[Path | None, typer.Option(help="Folder, empty or new; by default that of MUSCLE_HOME.")] = None,
) -> None:
    """Verify a backup and put it into an empty folder (and its rows into MUSCLE_DATABASE_URL where that is set)."""
    from muscle_core.store.backup import restore_backup
    from muscle_core.store.workspace import database_url, home_folder

    folder = home_folder(home)
    restored = restore_backup(local_path(file, StoreError).resolve(), folder, database_url())
    _print_counts(restored.counts)
    print(f"restored {folder} as {restored.home} was at {restored.made}: {restored.files:,} files")
    _tell_missing(restored.missing)


@workspace_app.command("migrate")
def workspace_migrate() -> None:
    """Bring the tables of the workspace's database to this version's; a SQLite database is copied before."""
    done = Workspace.migrate()
    if done.copy is not None:
        print(f"the database as it was: {done.copy}")
    if done.before == done.after:
        print(f"nothing to do: the tables have revision {done.after}")
    else:
        print(f"the tables went from revision {done.before} to {done.after}")


@workspace_app.command("disk")
def workspace_disk() -> None:
    """List what takes room in the workspace, the largest first."""
    from muscle_core.store.disk import disk_use

    uses = disk_use(workspace_here())
    print_table(
        ("size", "files", "kind", "name", "path"),
        ((size_text(use.size), f"{use.files:,}", use.kind, use.name or "-", use.path) for use in uses),
    )
    print(f"{size_text(sum(use.size for use in uses))} in all")


@workspace_app.command("gc")
def workspace_gc(
    yes: YesOption = False,
    teacher_days: Annotated[float, typer.Option(help="Teacher stores go that were not used for so long.")] = 30.0,
) -> None:
    """List what nothing needs any more, and with --yes remove it; nothing younger than an hour is touched."""
    from muscle_core.actions.upkeep.cleanup import find_orphans, remove_orphans

    workspace = workspace_here()
    found = (remove_orphans if yes else find_orphans)(workspace, teacher_days=teacher_days)
    print_table(("size", "path", "why"), ((size_text(one.size), one.path, one.why) for one in found))
    print(f"{size_text(sum(one.size for one in found))} {'removed' if yes else 'could go; --yes removes it'}")


@delete_app.command("version")
def delete_version(name: str, yes: YesOption = False, with_dependents: DependentsOption = False) -> None:
    """Delete a model version, with its adapter, answers, and the training that made it."""
    _delete("version", name, yes, with_dependents)


@delete_app.command("dataset")
def delete_dataset(name: str, yes: YesOption = False, with_dependents: DependentsOption = False) -> None:
    """Delete a dataset."""
    _delete("dataset", name, yes, with_dependents)


@delete_app.command("run")
def delete_run(run_id: str, yes: YesOption = False, with_dependents: DependentsOption = False) -> None:
    """Delete an evaluation run; `runs list` shows the ids. Kept answers stay, so that it can be made again quickly."""
    _delete("run", run_id, yes, with_dependents)


@delete_app.command("training")
def delete_training(
    name: Annotated[str, typer.Argument(help="Id, or the name of the version that it made.")],
    yes: YesOption = False,
    with_dependents: DependentsOption = False,
) -> None:
    """Delete a training with the version that it made and the job that did it."""
    _delete("training", name, yes, with_dependents)


@delete_app.command("job")
def delete_job(job_id: str, yes: YesOption = False, with_dependents: DependentsOption = False) -> None:
    """Delete a job that is over, with its log and checkpoints; what it made stays."""
    _delete("job", job_id, yes, with_dependents)


@app.command("doctor")
def doctor_command() -> None:
    """Examine installation and workspace. Exit code 0: no problem (perhaps warnings); 2: a problem."""
    from muscle_core.actions.upkeep.doctor import PROBLEM, examine

    findings = examine()
    print_table(
        ("", "what", "found"),
        (
            (
                finding.level,
                finding.what,
                " ".join(filter(None, (finding.found, finding.advice and f"→ {finding.advice}"))),
            )
            for finding in findings
        ),
    )
    if any(finding.level == PROBLEM for finding in findings):
        raise typer.Exit(2)


def _delete(kind: str, name: str, yes: bool, with_dependents: bool) -> None:
    from muscle_core.actions.upkeep.deletion import delete, plan_deletion

    workspace = workspace_here()
    plan = (
        delete(workspace, kind, name, with_dependents=with_dependents) if yes else plan_deletion(workspace, kind, name)
    )
    print(plan.target)
    for title, lines in (
        ("goes with it", plan.along),
        ("depends on it", plan.dependents),
        ("stays, without its parent", [f"version {name!r}" for name in plan.unlinked]),
        ("stays, as a replica of it no longer", [f"version {name!r}" for name in plan.replicas]),
        ("uses it", plan.users),
    ):
        for line in lines:
            print(f"  {title}: {line}")
    print(f"{'deleted' if yes else 'would delete'} {size_text(plan.size)} in {len(plan.paths):,} files and folders")
    if not yes:
        flags = "--yes --with-dependents" if plan.dependents else "--yes"
        print("in use: nothing can be deleted now" if plan.users else f"{flags} deletes it")


def _warn_of_running_jobs(workspace: Workspace) -> None:
    import sqlalchemy as sa

    with workspace.reading() as session:
        running = list(session.scalars(sa.select(Job.id).where(Job.state.in_(("running", "cancelling")))))
    if running:
        named = ", ".join(job_id[:8] for job_id in running)
        say(f"note: jobs are running ({named}); what they do from now on goes to the old database only")


def _print_counts(counts: dict[str, int]) -> None:
    print_table(("table", "rows"), ((table, f"{rows:,}") for table, rows in sorted(counts.items())))


def _tell_missing(missing: list[str]) -> None:
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5:,} more" if len(missing) > 5 else "")
        say(f"note: {len(missing):,} files that rows refer to were gone already: {shown}")
