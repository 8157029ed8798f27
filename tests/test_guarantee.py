"""docs/GUARANTEE.md names files, functions and lemmas: they are there, and every limit is in it."""

from __future__ import annotations

import re
from pathlib import Path

from checkrein.limits import tick, trial
from checkrein.limits.certify import KINDS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "GUARANTEE.md").read_text(encoding="utf-8")


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", TEXT))
    assert len(named) > 15
    missing = [n for n in named if not ((ROOT / n).is_file() or (ROOT / "limits" / n).is_file())]
    assert missing == []
    functions = re.findall(r"`(tick|trial)\.([a-z_]+)`", TEXT)
    assert functions
    for module, function in functions:
        assert hasattr({"tick": tick, "trial": trial}[module], function)


def test_every_kind_that_the_arbiter_judges_has_its_row() -> None:
    rows = TEXT.partition("## 5.")[2].partition("## 6.")[0]
    for path in (ROOT / "limits" / "kinds").glob("[!_]*.py"):
        if path.name != "tracking.py":  # a check of an assumption, not a limit: §6
            assert f"kinds/{path.name}" in rows, f"§5 says nothing about {path.name}"
    assert len(KINDS) - 1 <= rows.count("\n| ")


def test_each_claim_of_a_lemma_has_one() -> None:
    lemmas = (ROOT / "tests" / "limits" / "test_proofs.py").read_text(encoding="utf-8")
    for name in (
        "BrakingLemma",
        "RestIdentity",
        "PlayedIsCertified",
        "Extrema",
        "SecondOrder",
        "ErrorsAdd",
    ):
        assert f"class Test{name}" in lemmas
    assert TEXT.count("*z3*") >= 6
