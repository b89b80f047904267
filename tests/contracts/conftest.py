"""The storages that the contract tests run over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.journal_places import InMemory, OnFile, OnServer, Place
from tests.contracts.postgres_server import NoServer, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator

STORAGES = ("memory", "sqlite", "postgres")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server, or a skip that says why there is none."""
    pytest.importorskip("psycopg", reason="no PostgreSQL: the extra postgres is not installed")
    try:
        with postgres_server() as url:
            yield url
    except NoServer as error:
        pytest.skip(f"no PostgreSQL: {error}")


def _place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    match request.param:
        case "memory":
            return InMemory()
        case "sqlite":
            return OnFile(tmp_path_factory.mktemp("journal"))
        case _:
            return OnServer(request.getfixturevalue("server"))


@pytest.fixture(params=STORAGES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place without a journal, in every storage."""
    return _place(request, tmp_path_factory)


@pytest.fixture(params=STORAGES, scope="module")
def lasting_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that the examples of one property share; a test leaves it as it found it."""
    return _place(request, tmp_path_factory)


@pytest.fixture(params=("sqlite", "postgres"))
def outlasting_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place without a journal, in every storage that outlasts a process."""
    return _place(request, tmp_path_factory)
