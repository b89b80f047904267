"""Addresses of Ray clusters: one that answers, one that does not, one that is none; told at once, without Ray."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ringfence.cli import main
from ringfence.errors import BadConfiguration, SourceUnavailable
from ringfence.fleet import ray_address
from ringfence.fleet.example import write_example
from ringfence.fleet.ray_address import check_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # what an HTTP/2 server says first (RFC 9113, 3.4)


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """Listen on a free port: answer each connection with some bytes; None takes it and says nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        try:
            while True:
                line, _ = listening.accept()
                held.append(line)
                if answer is not None:
                    line.recv(100)
                    line.sendall(answer)
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for line in held:
            line.close()


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_what_speaks_as_a_cluster_does_is_let_through() -> None:
    with server(SETTINGS) as address:
        check_address(address)
        check_address(f"ray://{address}")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None])
def test_another_service_is_told_from_a_cluster(answer: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_address, "PATIENCE", 0.2)
    said = "no answer within 0.2 seconds" if not answer else "another service, which does not speak gRPC"
    with server(answer) as address, pytest.raises(SourceUnavailable) as caught:
        check_address(address)
    assert f"--ray {address}: no Ray cluster answers" in str(caught.value)
    assert f"found: {said}" in str(caught.value)


@pytest.mark.parametrize("address", ["foo", "10.0.0.5", ":6379", "host:port", "host:0", "host:65536", "ray://host"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadConfiguration, match="not an address of a Ray cluster") as caught:
        check_address(address)
    assert caught.value.where == f"--ray {address}"


def test_the_cluster_that_was_last_started_here_is_asked_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    check_address("auto")  # nothing is noted: Ray looks itself
    gone = closed_port()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(gone)
    with pytest.raises(SourceUnavailable, match="--ray auto: no Ray cluster answers") as caught:
        check_address("auto")
    assert f"refused ({gone})" in str(caught.value)


def test_a_wrong_address_is_one_error_and_ray_is_not_even_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_example(20, 1, tmp_path / "x.fleet.parquet")
    address = closed_port()
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it would be another error
    assert main(["-q", "fleet", "screen", str(tmp_path / "x.fleet.parquet"), "--ray", address]) == 5
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0].strip() for line in said] == ["error", "expected", "found", "do"]
    assert said[2] == "  found: connection refused"
