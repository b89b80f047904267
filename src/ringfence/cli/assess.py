"""``ringfence assess`` and ``ringfence check``: what an account holds, and how healthy that leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.options import AccountArgument, AsOfOption, JsonOption, MarkOption
from ringfence.numbers import text

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook

HEALTHY, WARNING, MARGIN_CALL, LIQUIDATABLE = 0, 10, 11, 12
EXIT_CODES = {"healthy": HEALTHY, "warning": WARNING, "margin_call": MARGIN_CALL, "liquidatable": LIQUIDATABLE}


def assess(
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Print how every figure comes about.")] = False,
    json: JsonOption = False,
) -> None:
    """Show an account's margin, health and liquidation prices, by the exchange's own rules."""
    from ringfence.cli.load import load_account

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    show_assessment(file, rulebook, explain=explain, json=json)


def show_assessment(file: AccountFile, rulebook: Rulebook, *, explain: bool, json: bool) -> None:
    """Print an account that has been read: as tables or as one JSON object, with every figure's way on request."""
    from ringfence.cli import show
    from ringfence.cli.load import assess_file

    assessments = assess_file(file, rulebook)
    if json:
        from ringfence.cli.assessment_json import as_json

        document = as_json(file, rulebook, assessments)
        if explain:
            from ringfence.cli.explanation import explanation

            document["explanation"] = explanation(file, rulebook, assessments)
        show.print_json(document)
        return
    from ringfence.cli.assessment_tables import print_assessment

    screen = show.console()
    print_assessment(screen, file, rulebook, assessments, every_scenario=explain)
    if explain:
        from ringfence.cli.explanation import print_explanation

        print_explanation(screen, file, rulebook, assessments)


def check(
    account: AccountArgument, mark: MarkOption = None, as_of: AsOfOption = None, *, json: JsonOption = False
) -> None:
    """Say by exit code how an account stands: 0 healthy, 10 warning, 11 margin call, 12 liquidatable.

    The worst pool decides. For cron, CI and monitoring: 10 is a Nagios warning, 11 and 12 are critical.
    """
    from ringfence.cli import show
    from ringfence.cli.assessment_json import state_of, worst
    from ringfence.cli.load import assess_file, load_account
    from ringfence.errors import BadAccount

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    assessments = assess_file(file, rulebook)
    state = state_of(assessments)
    if state is None:
        raise BadAccount(
            "how the account stands cannot be known", where=file.where,
            expected="a balance and maintenance rates for every pool that holds something",
            found=", ".join(a.pool.name for a in assessments if a.status is None and (a.lines or a.orders)),
            hint="give the wallet's balance, and tiers under `contracts` where the rulebook has none",
        )  # fmt: skip
    poorest = worst(assessments)
    if json:
        show.print_json({
            "schema": "ringfence.check/1",
            "status": state,
            "exit_code": EXIT_CODES[state],
            "pool": poorest.pool.name if poorest else None,
            "health": text(poorest.health) if poorest else None,
            "margin_balance": text(poorest.margin_balance) if poorest else None,
            "liquidation_requirement": text(poorest.liquidation_requirement) if poorest else None,
            "levels": {
                "warning": text(rulebook.levels.warning),
                "margin_call": text(rulebook.levels.margin_call),
                "source": rulebook.levels.source,
            },
        })  # fmt: skip
    else:
        show.print_text(_sentence(state, poorest))
    raise typer.Exit(EXIT_CODES[state])


def _sentence(state: str, poorest: Assessment | None) -> str:
    from ringfence.cli import show

    word = state.replace("_", " ")
    if poorest is None:
        return f"{word}: no positions, no orders"
    asset = poorest.asset or "in the account's currency"
    balance = f"{show.amount(poorest.margin_balance, poorest.asset)} {asset}"
    required = show.amount(poorest.liquidation_requirement, poorest.asset)
    health = "nothing required" if poorest.health is None else f"health {show.factor(poorest.health)}"
    return f"{word}: {poorest.pool.name}, {health} (balance {balance}, required {required})"
