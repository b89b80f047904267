"""Whether a Ray cluster answers at an address, asked before Ray is: Ray itself knocks there without end, and says so.

A head and a client server speak gRPC, which is HTTP/2: whoever greets them is greeted back at once. So it takes no more
than :data:`PATIENCE` to tell a cluster from a closed port, a wrong host, and another service.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from ringfence.errors import BadConfiguration, SourceUnavailable

LOCAL, ANY = "local", "auto"
PATIENCE = 3.0  #: seconds to wait for a connection, and again for an answer
_CLIENT = "ray://"
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, 3.4: with no settings
_SETTINGS = 4  # the kind of an HTTP/2 frame, its fourth byte
_FORMS = "local, auto, HOST:PORT or ray://HOST:PORT"


def check_address(address: str) -> None:
    """Return when a cluster answers at an address, or when Ray is to start or to find one itself.

    Raises BadConfiguration for what is no address, SourceUnavailable where no cluster answers.
    """
    if address == LOCAL:
        return
    told = _running() if address == ANY else address
    if told is None:
        return
    host, colon, port = told.removeprefix(_CLIENT).rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise BadConfiguration("not an address of a Ray cluster", where=f"--ray {address}", expected=_FORMS, found=told,
                               hint="name the head's host and port, such as --ray 10.0.0.5:6379")  # fmt: skip
    found = _answer(host.strip("[]"), int(port))
    if found is not None:
        raise unreachable(address, found if address == told else f"{found} ({told})")


def unreachable(address: str, found: str) -> SourceUnavailable:
    """Return the error of an address where no cluster answers. ``found``: what was there instead."""
    return SourceUnavailable(
        f"--ray {address}: no Ray cluster answers\n  expected: the head of a running cluster, or its client server (ray://)\n"
        f"  found: {found}\n  do: start one with `ray start --head`, name its address, or give --ray local"
    )


def _running() -> str | None:
    """Return the address of the cluster that was last started here, as Ray notes it; None where it notes none."""
    stated = os.environ.get("RAY_ADDRESS")
    if stated:
        return stated
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    try:
        return note.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _answer(host: str, port: int) -> str | None:
    """Return what is wrong at an address, None where gRPC answers."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as line:
            if os.environ.get("RAY_USE_TLS", "0") not in {"", "0"}:
                return None  # it would not understand a greeting in plain text
            line.settimeout(PATIENCE)
            line.sendall(_GREETING)
            start = line.recv(9)
    except socket.gaierror:
        return f"no host of the name {host}"
    except TimeoutError:
        return f"no answer within {PATIENCE:g} seconds"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None if len(start) > 3 and start[3] == _SETTINGS else "another service, which does not speak gRPC"


__all__ = ["ANY", "LOCAL", "PATIENCE", "check_address", "unreachable"]
