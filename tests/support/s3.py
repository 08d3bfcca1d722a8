"""A real S3 server on loopback (moto, which checks keys and signatures), and a line to it that can be cut."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_REGION = "us-east-1"
_SET_UP_CALLS = 3  # made before the server asks for keys


class Server(NamedTuple):
    """A running server and the keys that it takes."""

    port: int
    key: str
    secret: str

    def environment(self, port: int | None = None) -> dict[str, str]:
        """The variables that lead to it, by another port where a line is in between."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str = "s3") -> Any:
        """boto3's client, to look at the server past this project."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=_REGION,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )


@contextmanager
def s3_server(log: Path) -> Iterator[Server]:
    """A server process with one user who may do everything with S3."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(_SET_UP_CALLS)},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_open(port, process, log)
        iam = Server(port, "nobody", "nothing").client("iam")
        iam.create_user(UserName="muscle")
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="muscle", PolicyName="all", PolicyDocument=json.dumps(everything))
        made = iam.create_access_key(UserName="muscle")["AccessKey"]
        yield Server(port, made["AccessKeyId"], made["SecretAccessKey"])
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_open(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"moto ended with {process.returncode}: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError(f"moto did not answer: {log.read_text()[-2000:]}")


class Line:
    """Passes bytes on between a port of its own and a server, until it is cut."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._is_cut = False
        self._left: int | None = None  # bytes to the server until it cuts itself or stands still
        self._stalls = False
        self.stalled = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self._is_cut = True
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, sent: int) -> None:
        """Cut it when so many more bytes have gone to the server."""
        self._left = sent

    def stall_after(self, sent: int) -> None:
        """Let it stand still when so many more bytes have gone to the server; `stalled` tells that it does."""
        self._left, self._stalls = sent, True

    def mend(self) -> None:
        """Let connections through again."""
        self.cut()  # what stood still
        self._is_cut, self._left, self._stalls, self._open = False, None, False, []

    def close(self) -> None:
        """End it for good."""
        self.cut()
        self._listener.close()

    def _stand_still(self) -> None:
        self.stalled.set()
        while self._stalls and not self._is_cut:
            time.sleep(0.02)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._server_port))
            self._open += [near, far]
            threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if to_server and self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        self._stand_still() if self._stalls else self.cut()
                        break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()  # the thread of the other direction closes the other end
