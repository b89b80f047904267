"""Which journal a path or URL means, and what is said when it means none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ringfence.errors import BadConfiguration
from ringfence.journal import JournalUnavailable, MemoryJournal, open_journal, open_reader
from ringfence.journal.postgres import named
from ringfence.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_is_a_journal_in_memory_each_time_a_new_one() -> None:
    with open_journal("memory:") as one, open_journal("memory:") as other:
        assert isinstance(one, MemoryJournal)
        assert one is not other


@pytest.mark.parametrize("form", ["a.journal", "sqlite:///a.journal"])
def test_a_relative_path_is_a_file_below_the_working_folder(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_journal(form) as journal:
        assert isinstance(journal, SqliteJournal)
    assert (tmp_path / "a.journal").exists()


def test_four_slashes_begin_an_absolute_path_and_percent_signs_are_decoded(tmp_path: Path) -> None:
    open_journal(f"sqlite:///{tmp_path}/my%20venue").close()  # the path brings the fourth slash
    assert (tmp_path / "my venue").exists()


@pytest.mark.parametrize("name", ["with space", "per%cent", "question?mode=memory", "hash#tag", "ümläut"])
def test_a_path_may_hold_what_means_something_in_a_url(name: str, tmp_path: Path) -> None:
    with open_journal(str(tmp_path / name)), open_reader(str(tmp_path / name)) as reader:
        assert reader.head().sequence == 0
    assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no journal was named"),
        ("mysql://host/db", "not a kind of journal"),
        ("sqlte:///a", "did you mean sqlite"),
        ("sqlite://a.journal", "names a file and no host"),
        ("sqlite:///", "names a file and no host"),
    ],
)
def test_a_url_that_means_nothing_says_what_would(url: str, says: str) -> None:
    for opened in (open_journal, open_reader):
        with pytest.raises(BadConfiguration, match=says):
            opened(url)


def test_a_reader_of_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="there is no journal"):
        open_reader(str(tmp_path / "absent"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="no folder for the journal"):
        open_journal(str(tmp_path / "absent" / "a.journal"))


def test_a_journal_in_memory_has_no_other_readers() -> None:
    with pytest.raises(BadConfiguration, match="by its writer only"):
        open_reader("memory:")


def test_without_the_extra_a_postgres_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for opened in (open_journal, open_reader):
        with pytest.raises(BadConfiguration, match=r"ringfence\[postgres\]"):
            opened("postgresql://localhost/venue")


def test_a_postgres_that_does_not_answer_is_unavailable_and_its_password_is_not_told() -> None:
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with pytest.raises(JournalUnavailable) as caught:
        open_journal("postgresql://trader:hunter2@127.0.0.1:1/venue")
    assert caught.value.exit_code == 5
    assert "postgresql://trader@127.0.0.1:1/venue" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:p@h:5/d", "postgresql://u@h:5/d"),
        ("postgresql://u:p@ss@h/d", "postgresql://u@h/d"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgresql:///d?host=a&password=p&user=u", "postgresql:///d?host=a&password=…&user=u"),
    ],
)
def test_the_name_of_a_database_has_no_password(url: str, name: str) -> None:
    assert named(url) == name
