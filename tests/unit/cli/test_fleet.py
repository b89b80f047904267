"""``ringfence fleet``: what its commands print."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from ringfence.cli import main
from ringfence.fleet import Fleet
from ringfence.numbers import plain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ringfence.fleet.example import write_example

    path = tmp_path_factory.mktemp("fleet") / "example.fleet.parquet"
    write_example(400, 7, path)
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["--quiet", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_an_example_is_built_and_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        out = str(tmp_path / name)
        said = printed(capsys, "fleet", "build", "--example", "--accounts", "50", "--seed", "2", "--out", out)
        assert said.startswith(f"{out}: 50 accounts, 189 positions")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert "the file is there already" in printed(
        capsys, "fleet", "build", "--example", "--out", str(tmp_path / "one"), code=3
    )


@pytest.mark.parametrize("total", [40, None])
def test_a_bar_ends_full_also_where_there_were_fewer_than_at_most(
    total: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from io import StringIO

    from rich.console import Console

    from ringfence.cli import show
    from ringfence.cli.fleet import progress

    drawn = StringIO()
    monkeypatch.setattr(show.settings, "quiet", False)
    monkeypatch.setattr(show, "console", lambda **_: Console(file=drawn, force_terminal=True, width=80))
    with progress("prices", total) as done:
        assert done is not None
        done(31)
    assert "31/31" in [line for line in drawn.getvalue().splitlines() if "prices" in line][-1]
    with pytest.raises(KeyboardInterrupt), progress("prices", 40) as done:
        raise KeyboardInterrupt
    assert "0/40" in [line for line in drawn.getvalue().splitlines() if "prices" in line][-1]


def test_an_unknown_rulebook_names_the_option_and_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "positions.csv"
    source.write_text("account,symbol,quantity,entry_price\nA,BTCUSDT,1,60000\n")
    build = ("fleet", "build", str(source), "--out", str(tmp_path / "x"), "--rulebook")
    said = printed(capsys, *build, "binance-usd", code=3)
    assert said.startswith("error: --rulebook binance-usd: no rulebook 'binance-usd'\n")
    assert "do: did you mean binance-usdm" in said


def test_a_result_never_replaces_what_is_read_nor_another_result(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = example.read_bytes()
    marks = tmp_path / "marks.csv"
    marks.write_text("symbol,price\nBTCUSDT,100000\n")
    link = tmp_path / "link.parquet"
    link.symlink_to(example)
    page = str(tmp_path / "one")
    for verb, more in (
        ("screen", ["--out", str(example)]),
        ("screen", ["--out", str(link)]),
        ("screen", ["--marks", str(marks), "--out", str(marks)]),
        ("stress", ["--report", str(example)]),
        ("stress", ["--out", page, "--report", page]),
        ("watch", ["--tape", "2025-10-10", "--out", str(example)]),
    ):
        said = printed(capsys, "fleet", verb, str(example), *more, code=3)
        assert "cannot be written" in said
        assert "which is read" in said or "which is another result" in said
    assert (example.read_bytes(), marks.read_text()) == (before, "symbol,price\nBTCUSDT,100000\n")
    assert not (tmp_path / "one").exists()


def test_marks_that_are_not_there_name_the_tapes_and_a_tape_has_no_price_after_its_end(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, "fleet", "screen", str(example), "--marks", "2025-10-11", code=3)
    assert "2025-10-11: there are no such marks" in said
    assert "do: did you mean 2025-10-10" in said
    said = printed(capsys, "fleet", "screen", str(example), "--marks", "2025-10-10", "--at", "2030-01-01", code=3)
    assert "--at: the tape has ended" in said
    assert "expected: a moment up to 2025-10-11T02:00:00Z" in said


def test_explaining_an_account_prints_what_assess_prints_of_it(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Fleet.open(example).account("A00000017")
    held = [
        {
            "symbol": p.symbol, "side": p.side, "quantity": plain(abs(p.quantity)), "entry_price": plain(p.entry_price),
            "mark_price": plain(file.marks[p.symbol]), "margin_mode": p.margin_mode.value,
            "isolated_margin": None if p.isolated_margin is None else plain(p.isolated_margin),
            "leverage": None if p.leverage is None else plain(p.leverage),
        }
        for p in file.account.positions
    ]  # fmt: skip
    wallet = {asset: plain(amount) for asset, amount in file.account.wallet.items() if amount is not None}
    account = {"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": {"wallet": wallet, "positions": held}}
    (tmp_path / "account.json").write_text(json.dumps(account))
    for options in ([], ["--explain"]):
        assert printed(capsys, "fleet", "explain", str(example), "A00000017", "--json", *options) == printed(
            capsys, "assess", str(tmp_path / "account.json"), "--json", *options
        )


def test_an_account_is_explained_at_other_marks(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks.csv"
    marks.write_text("symbol,price\nBTCUSDT,100000.5\n")
    flat = Fleet.open(example).positions().to_pylist()
    name = next(row["account"] for row in flat if row["symbol"] == "BTCUSDT")
    found = json.loads(printed(capsys, "fleet", "explain", str(example), name, "--marks", str(marks), "--json"))
    assert {p["mark_price"] for p in found["positions"] if p["symbol"] == "BTCUSDT"} == {"100000.5"}
    said = printed(capsys, "fleet", "explain", str(example), "A0000001", code=3)
    assert "no account 'A0000001'" in said


def test_a_screen_is_printed_as_a_table_as_json_and_written_whole(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks.json"
    down = {symbol: plain(price * 9 / 10) for symbol, price in Fleet.open(example).terms.marks.items()}
    marks.write_text(json.dumps(down))
    out = tmp_path / "worst.parquet"
    options = ("fleet", "screen", str(example), "--marks", str(marks), "--limit", "3")
    said = printed(capsys, *options)
    assert said.startswith("400 accounts, ")
    assert said.count("LIQUIDATABLE") == 3
    found = json.loads(printed(capsys, *options, "--json", "--out", str(out)))
    assert found["schema"] == "ringfence.fleet.screen/1"
    assert len(found["worst"]) == 3
    written = pq.read_table(out).to_pylist()
    assert len(written) == found["pools"]["liquidatable"] + found["pools"]["margin_call"]
    assert [row["account"] for row in written[:3]] == [row["account"] for row in found["worst"]]


def test_marks_say_which_symbols_they_leave_and_which_are_of_no_position(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = set(Fleet.open(example).terms.symbols)
    assert {"BTCUSDT", "ETHUSDT"} <= held
    marks = tmp_path / "marks.csv"
    marks.write_text("symbol,price\nETHUSDT,4000\nBTCUSDX,100000\n")
    assert main(["fleet", "screen", str(example), "--marks", str(marks), "--limit", "0"]) == 0
    said = capsys.readouterr().err
    assert f"marks of 2 symbols: {marks}; {len(held) - 1:,} others at the fleet's own" in said
    assert "no position is in BTCUSDX (did you mean BTCUSDT" in said


def test_marks_of_another_fleet_are_refused(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marks = tmp_path / "marks.json"
    for given in ('{"BTC-USDT-SWAP": "100000"}', "{}"):
        marks.write_text(given)
        said = printed(capsys, "fleet", "screen", str(example), "--marks", str(marks), code=3)
        assert "the marks have no symbol of the fleet" in said


@pytest.mark.parametrize(
    ("command", "option"),
    [(("screen",), "--out"), (("stress",), "--out"), (("stress",), "--report"),
     (("watch", "--tape", "2025-10-10"), "--out"), (("watch", "--tape", "2025-10-10"), "--report")],
)  # fmt: skip
def test_a_result_that_cannot_be_written_is_refused_before_the_work(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...], option: str,
) -> None:  # fmt: skip
    def read(*_: object) -> None:
        raise AssertionError("the fleet was read")

    monkeypatch.setattr(Fleet, "unit", read)
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "deeper" / "out.parquet"
    said = printed(capsys, "fleet", command[0], str(example), *command[1:], option, str(out), code=3)
    assert f"{out}: cannot be written" in said
    assert f"found: {tmp_path / 'file'}, which is no folder" in said
    said = printed(capsys, "fleet", command[0], str(example), *command[1:], option, str(tmp_path), code=3)
    assert "found: a folder" in said


def test_folders_that_are_missing_are_made_by_every_command_that_writes(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built, worst, page = (tmp_path / name / "deeper" / f"{name}.x" for name in ("built", "worst", "page"))
    printed(capsys, "fleet", "build", "--example", "--accounts", "20", "--out", str(built))
    printed(capsys, "fleet", "screen", str(example), "--out", str(worst))
    printed(capsys, "fleet", "stress", str(built), "--steps", "2", "--no-history", "--report", str(page))
    assert all(path.stat().st_size for path in (built, worst, page))


def test_a_moment_beside_a_file_of_marks_is_refused(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, single = tmp_path / "marks.csv", tmp_path / "marks.json"
    table.write_text("symbol,price\nBTCUSDT,100000\n")
    single.write_text('{"BTCUSDT": "100000"}')
    for marks in (table, single):
        options = ("--marks", str(marks), "--at", "2025-10-10T21:15")
        assert "a moment of a file that has none" in printed(capsys, "fleet", "screen", str(example), *options, code=3)


def test_a_symbol_that_stands_twice_in_an_object_of_marks_is_refused(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks.json"
    marks.write_text('{"BTCUSDT": "100000", "ETHUSDT": 4000.5, "BTCUSDT": "90000"}')
    said = printed(capsys, "fleet", "screen", str(example), "--marks", str(marks), code=3)
    assert f"{marks}: BTCUSDT: BTCUSDT is there twice" in said
    assert "found: 100000 and 90000" in said


def test_one_of_a_kind_is_said_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    positions, out = tmp_path / "positions.csv", str(tmp_path / "one.parquet")
    positions.write_text("account,symbol,quantity,entry_price,mark_price\na,BTCUSDT,1,61000,60000\n")
    said = printed(capsys, "fleet", "build", str(positions), "--rulebook", "binance-usdm", "--out", out)
    assert "1 account, 1 position, binance-usdm" in said
    assert printed(capsys, "fleet", "screen", out).startswith("1 account, 1 pool, 1 position, binance-usdm")


def test_a_column_that_was_named_and_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    positions, out = tmp_path / "positions.csv", str(tmp_path / "one.parquet")
    positions.write_text("account,symbol,quantity,entry_price\na,BTCUSDT,1,61000\n")
    options = ("--rulebook", "binance-usdm", "--column", "quantity=quantities", "--out", out)
    said = printed(capsys, "fleet", "build", str(positions), *options, code=3)
    assert "--column names quantities, which is not there; did you mean quantity?" in said


def test_a_stress_is_printed_as_tables_as_json_as_parquet_and_as_a_page(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "stress.html", tmp_path / "stress.parquet"
    options = ("fleet", "stress", str(example), "--range", "30", "--steps", "5")
    said = printed(capsys, *options, "--report", str(page), "--out", str(out))
    for expected in ("Share of accounts liquidatable", "all −15 %", "2025-10-10 low", "Value in liquidatable pools"):
        assert expected in said
    drawn = page.read_text(encoding="utf-8")
    assert drawn.startswith("<!doctype html>")
    for tick in ("−30 %", "−7.5 %", "0 %", "+7.5 %"):
        assert f">{tick}</text>" in drawn
    inks = dict(re.findall(r'fill="(#[0-9a-f]{6})"><title>[^<]*</title></rect><text class="([^"]*)"', drawn))
    assert len(inks) > 2
    for shade, ink in inks.items():
        white, dark = 1.05 / (luminance(shade) + 0.05), (luminance(shade) + 0.05) / (luminance("#2b2b2b") + 0.05)
        assert (ink == "in on") == (dark > white), shade
    found = json.loads(printed(capsys, *options, "--no-history", "--major", "SOLUSDT", "--json"))
    names = [scenario["name"] for scenario in found["scenarios"]]
    assert len(names) == 1 + 5 * 5 + 8
    assert found["scenarios"][1]["moves"] == {"SOLUSDT": "-0.3"}
    assert {row["scenario"] for row in pq.read_table(out).to_pylist()} > set(names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--steps", "1"), "not a grid"),
        (("--major", "BTCUSDTX"), "no mark"),
        (("--marks", "nowhere.csv"), "there are no such marks"),
        (("--at", "later", "--marks", "2025-10-10"), "not a moment"),
        (("--at", "2025-10-10T21:15"), "a moment of no tape"),
    ],
)
def test_what_cannot_be_asked_is_said(
    example: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert said in printed(capsys, "fleet", "stress", str(example), *options, code=3)


def test_a_watch_names_who_falls_and_writes_all_of_them(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fallen.parquet"
    options = ("fleet", "watch", str(example), "--tape", "2025-10-10", "--ticks-per-bar", "4", "--limit", "2")
    found = json.loads(printed(capsys, *options, "--json", "--out", str(out)))
    assert found["schema"] == "ringfence.fleet.watch/1"
    assert found["fell"] == pq.read_table(out).num_rows == sum(entry["fell"] for entry in found["by_minute"])
    assert len(found["fallen"]) == 2
    said = printed(capsys, *options)
    assert f"{found['fell']} pools fell to a health of 1" in said
    assert found["fallen"][1]["account"] in said


def test_a_watch_is_drawn_on_a_page_that_needs_nothing_else(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "watch.html"
    options = ("fleet", "watch", str(example), "--tape", "2025-10-10", "--ticks-per-bar", "4", "--json")
    found = json.loads(printed(capsys, *options, "--report", str(page)))
    called = json.loads(printed(capsys, *options, "--health", "1.25"))["fell"]
    drawn = page.read_text(encoding="utf-8")
    assert drawn.startswith("<!doctype html>")
    assert not re.search(r"https?://|@import|src=", drawn)
    assert "prefers-color-scheme: dark" in drawn
    assert f"{found['fell']:,} of {found['pools']:,} pools fall to liquidation</h1>" in drawn
    read = json.loads(drawn.split('id="values">')[1].split("</script>")[0])
    assert {f'data-chart="{name}"' in drawn for name in read} == {True}
    assert set(read) == {"fallen", "minute", "prices", "read"}
    ends = {name: values[-1] for name, values in read["fallen"]["lines"]}
    assert ends == {"called": f"{called:,}", "fallen": f"{found['fell']:,}"}
    (minute,) = read["minute"]["lines"]
    assert sum(int(count.replace(",", "")) for count in minute[1]) == found["fell"]
    moved = dict(read["prices"]["lines"])
    assert "BTCUSDT" in moved
    assert all(len(values) == len(read["prices"]["times"]) for values in moved.values())
    for heading in ("Where it concentrates", "Nearest to the edge at the end", "compiling kernels, once per machine"):
        assert heading in drawn


def test_the_rates_of_a_watch_are_of_the_walk_alone(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "watch", str(example), "--tape", "2025-10-10", "--ticks-per-bar", "4"]) == 0
    said = capsys.readouterr().err
    assert re.search(
        r"^[\d,]+ frames, [\d,]+ prices: screened in [\d.]+ s, [\d,]+ frames/s, [\d,]+ prices/s$", said, re.MULTILINE
    )
    assert re.search(r"pools re-read: median [\d,]+, mean [\d,.]+$", said, re.MULTILINE)
