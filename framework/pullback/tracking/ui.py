"""``pullback ui``: MLflow's pages, on the store that holds the runs, for this machine alone."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from pullback.errors import PullbackError, RunError
from pullback.tracking.store import EXPERIMENT, URI, Store, absolute, reason_of
from pullback.tracking.sync import found, store_of

_SECONDS_TO_START = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback ui``."""
    parser.description = (
        "Serve MLflow's pages on 127.0.0.1, with the store that a run or a sweep is in, until "
        "Ctrl-C; where that is a server, say the address."
    )
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="a run or a sweep; default: ./mlflow.db",
    )
    parser.add_argument("--uri", help="a store, as in tracking.uri=")
    parser.add_argument(
        "--port", type=int, default=5000, help="default: 5000, or the next free one"
    )


def run(args: argparse.Namespace) -> int:
    """Start the server, say where, and wait."""
    uri, experiment = (args.uri, EXPERIMENT) if args.uri else _store(args.directory)
    uri = absolute(uri)
    if uri.startswith("http"):
        print(_opened(uri, experiment).address())
        return 0
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not database.is_file():
        raise PullbackError(f"there is no {database}: `pullback train` makes runs, tracked there")
    port = _free(args.port)
    log = tempfile.TemporaryFile()  # noqa: SIM115  the server's, as long as it lasts
    server = _start(uri, port, log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, server, log)
        print(_opened(uri, experiment).address(address), flush=True)
        print("Ctrl-C ends it", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _opened(uri: str, experiment: str) -> Store:
    """The store, which knows its experiment; RunError where it cannot be had."""
    store = Store(uri, experiment)
    try:
        store.open()
    except Exception as error:  # MLflow's own, its database's, its network's
        raise RunError(f"MLflow at {store.uri}: {reason_of(error)}") from error
    return store


def _store(directory: Path | None) -> tuple[str, str]:
    if directory is None:
        return URI, EXPERIMENT
    for one in found([directory]):
        store = store_of(one)
        if store is not None:
            return store
    raise PullbackError(f"no run below {directory} was tracked with MLflow")


def _free(port: int) -> int:
    """This port, or the next that nobody listens at."""
    for one in range(port, port + 100):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", one))
            except OSError:
                continue
            return one
    raise RunError(f"no port from {port} to {port + 99} is free")


def _start(uri: str, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # Without jobs it is two processes, and runs nothing that a page asks for.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-1:]
            told = f"mlflow server ended with status {server.returncode}: {''.join(said)}"
            raise RunError(told)
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RunError(f"mlflow server did not answer within {_SECONDS_TO_START:.0f} s")
