"""Real PostgreSQL servers for tests, on loopback, run by a user that is not root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import sqlalchemy as sa


class PostgresCluster:
    """A cluster of our own that can be stopped and started.

    Attributes:
        server_url: SQLAlchemy URL without a database.
    """

    def __init__(self, programs: Path) -> None:
        """Make the cluster; `programs` is the folder with initdb and pg_ctl."""
        self._programs = programs
        # Not below pytest's own temporary folder: another pytest session of this user closes that to other users.
        self._folder = Path(tempfile.mkdtemp(prefix="muscle-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._prefix: list[str] = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root; its package brings a user.
            shutil.chown(self._folder, "postgres")
            self._prefix = ["runuser", "-u", "postgres", "--"]
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "muscle", "--auth=trust", "--no-sync")
        self.server_url = f"postgresql+psycopg://muscle@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("-o", options, "-w", "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """Stop the server at once, as a crash does."""
        self._control("-m", "immediate", "stop")

    def remove(self) -> None:
        """Stop the server and remove its files."""
        self.stop()
        shutil.rmtree(self._folder)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def fresh_database(server_url: str) -> str:
    """URL of a new, empty database on a server."""
    name = f"t{uuid.uuid4().hex}"
    server = sa.create_engine(f"{server_url}/postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    server.dispose()
    return f"{server_url}/{name}"
