"""Keys come by reference and never show."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.errors import BadConfiguration
from ringfence.watch.keys import Keys, read_keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"apiKey": "k-1", "secret": "s-1", "password": "p-1"}', id="json"),
        pytest.param("k-1\ns-1\np-1\n", id="lines"),
        pytest.param("k-1:s-1:p-1", id="colons"),
    ],
)
def test_a_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("MY_KEY", content)
    assert read_keys("env:MY_KEY") == Keys("k-1", "s-1", "p-1")


def test_a_key_is_read_from_a_file_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(json.dumps({"apiKey": "k-1", "secret": "s-1"}))
    path.chmod(0o600)
    assert read_keys(f"file:{path}").settings() == {"apiKey": "k-1", "secret": "s-1"}


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("k-1\ns-1")
    path.chmod(0o644)
    with pytest.raises(BadConfiguration, match="mode 644"):
        read_keys(f"file:{path}")


def keyring_with(entries: dict[tuple[str, str], str]) -> tuple[Any, Any]:
    errors: Any = ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})
    keyring: Any = ModuleType("keyring")
    keyring.errors = errors
    keyring.get_password = lambda service, name: entries.get((service, name))
    return keyring, errors


def test_a_key_is_read_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring, errors = keyring_with({("ringfence", "bybit"): "k-1:s-1"})
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert read_keys("keyring:bybit") == Keys("k-1", "s-1")
    with pytest.raises(BadConfiguration, match="keyring set ringfence okx"):
        read_keys("keyring:okx")


def test_without_the_package_keyring_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(BadConfiguration, match="pip install keyring"):
        read_keys("keyring:bybit")


def test_a_key_given_by_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadConfiguration, match="by reference") as caught:
        read_keys("AKIAVERYSECRET")
    assert "AKIAVERYSECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not set"),
        ("only-one-part", "1 part"),
        ('{"apiKey": "k-1"', "broken JSON"),
        ('{"apiKey": "k-1", "secrett": "s-1"}', "unknown: secrett"),
        ('{"apiKey": 5}', "no text"),
    ],
)
def test_a_key_that_cannot_be_read_says_what_is_expected_and_shows_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    monkeypatch.setenv("MY_KEY", content)
    with pytest.raises(BadConfiguration, match=said) as caught:
        read_keys("env:MY_KEY")
    assert "k-1" not in str(caught.value)
    assert "only-one-part" not in str(caught.value)


def test_a_key_does_not_show_in_its_representation() -> None:
    assert repr(Keys("k-1", "s-1")) == "Keys()"


def test_a_missing_file_names_the_reference(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"nothing-there: the key file cannot be read"):
        read_keys(f"file:{tmp_path}/nothing-there")
