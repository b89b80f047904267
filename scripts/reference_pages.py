"""The parts of the reference that are written by the program: policies with who chooses them, and the venues."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from ringfence import rulebooks
from ringfence.cli.policy_words import WORDS
from ringfence.rulebook import choices

ROOT = Path(__file__).parents[1]


def policies() -> str:
    """Return a section per policy: each choice in plain words, and the rulebooks that take it."""
    chosen = _chosen()
    parts = []
    for policy, options in choices().items():
        parts.append(f"## `{policy}`\n\n| choice | meaning | taken by |\n|---|---|---|")
        for option in options:
            takers = ", ".join(sorted(chosen.get((policy, option), ()))) or "–"
            if len(chosen.get((policy, option), ())) > len(rulebooks.names()) * 2 // 3:
                takers = "all others"
            parts.append(f"| `{option}` | {WORDS.get(policy, {}).get(option, '')} | {takers} |")
        parts.append("")
    return "\n".join(parts)


def _chosen() -> dict[tuple[str, str], set[str]]:
    chosen: dict[tuple[str, str], set[str]] = {}
    for name in rulebooks.names():
        rules = rulebooks.load(name)
        for policy in choices():
            for kind in ("isolated", "cross"):
                option = getattr(getattr(rules, kind), policy)
                other = getattr(rules.cross if kind == "isolated" else rules.isolated, policy)
                label = name if option == other else f"{name} ({kind})"
                chosen.setdefault((policy, option), set()).add(label)
    return chosen


def venues() -> str:
    """Return a table of the rulebooks: rules since when, tables of which days, published cases, and the source."""
    cases: Counter[str] = Counter()
    for path in sorted((ROOT / "tests" / "answers" / "cases").glob("*.json")):
        cases.update(case["rulebook"] for case in json.loads(path.read_text(encoding="utf-8")))
    rows = ["| rulebook | rules of | tables of | published cases | rules read from |", "|---|---|---|---|---|"]
    for name in rulebooks.names():
        rules = rulebooks.load(name)
        folders = rulebooks.folders(name)
        dated = [str(f.day or "always") for f in folders if (f.path / "rules.toml").is_file()]
        tables = [str(f.day) for f in folders if (f.path / "contracts.csv").is_file()]
        source = rules.sources.get("policies", "").replace("|", "/")
        rows.append(
            f"| **{name}** {rules.title} | {', '.join(dated)} | {', '.join(tables) or '–'} | {cases[name]} | {source} |"
        )
    return "\n".join(rows) + "\n"


PARTS = {"policies": policies, "venues": venues}
