"""Write result files: whole or not at all, and never over what must be kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from muscle_core.errors import ConfigError, raise_all
from muscle_core.paths import local_path, reason


def check_targets(targets: Mapping[str, Path | None], kept: Mapping[str, Path | None], *, replace: bool) -> None:
    """Refuse result files that cannot be written or that would replace something, before any work is done.

    Args:
        targets: where results go, by what they are; None where one is not wanted.
        kept: files that are read, by what they are, and that no result may replace.
        replace: whether a result may replace an earlier file.

    Raises:
        ConfigError: naming all problems.
    """
    problems = []
    wanted = [(what, local_path(path, ConfigError)) for what, path in targets.items() if path is not None]
    held = [(what, local_path(path, ConfigError)) for what, path in kept.items() if path is not None]
    for number, (what, path) in enumerate(wanted):
        same = next((name for name, other in held + wanted[:number] if _is_same(path, other)), None)
        if same is not None:
            problems.append(f"{what} {path} is the file of {same}; name another one")
        elif path.exists() and not path.is_file():
            problems.append(f"{what} {path} is not a file")
        elif path.exists() and not replace:
            problems.append(f"{what} {path} is there already; name another file, or replace it with --force")
        elif not path.parent.is_dir():
            problems.append(f"the folder of {what} {path} is not there")
        elif not os.access(path.parent, os.W_OK):
            problems.append(f"the folder of {what} {path} cannot be written")
    raise_all(problems, ConfigError, "the results cannot be written")


def write_whole(contents: Mapping[Path, str | bytes]) -> None:
    """Write files so that each appears whole; where one cannot be written, none of them appears.

    Args:
        contents: text (as UTF-8) or bytes by path; earlier files are replaced.

    Raises:
        ConfigError: a file cannot be written.
    """
    with written_beside(contents):
        pass


@contextmanager
def written_beside(contents: Mapping[Path, str | bytes]) -> Iterator[None]:
    """Like `write_whole`, but the files get their names only when the block has ended well.

    Raises:
        ConfigError: a file cannot be written; the block is not entered then.
    """
    finished: list[tuple[Path, Path]] = []
    path = Path()
    try:
        try:
            for path, content in contents.items():
                target = local_path(path, ConfigError).resolve()  # a link stays a link to the file
                handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".partial", dir=target.parent)
                finished.append((Path(name), target))
                with os.fdopen(handle, "wb") as file:
                    file.write(content.encode() if isinstance(content, str) else content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).chmod(0o666 & ~_umask())
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"{path} cannot be written: {reason(error)}. Nothing was written.") from error
        yield
        for partial, target in finished:
            partial.replace(target)
    finally:
        for partial, _ in finished:
            partial.unlink(missing_ok=True)


def _is_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)  # by another name, too
    return path.resolve() == other.resolve()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
