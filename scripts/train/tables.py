"""The figures of a fit as Markdown tables, for the terminal and for docs/classifier.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["tables"]


def _share(rate: Mapping[str, Any]) -> str:
    """Share with its 95 % interval."""
    if not rate["n"]:
        return "none"
    return f"{rate['share']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}] of {rate['n']}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def tables(report: Mapping[str, Any]) -> str:
    """All tables of a report."""
    lines: list[str] = []
    sets = report["sets"]
    lines += _table(
        ("set", "chunks", "episodes", "unsafe"),
        [
            (name, str(s["chunks"]), str(s["episodes"]), f"{s['unsafe']:.3f}")
            for name, s in sets.items()
        ],
    )
    for where in ("test", "shifted object"):
        if where not in sets:
            continue
        rows = []
        for name, scorer in report["scorers"].items():
            figures = scorer[where]
            some = next(v for k, v in figures.items() if k.startswith("some_of_"))
            rows.append(
                (
                    name,
                    f"{figures['auroc']:.4f}",
                    _share(figures["incorrect_compliance"]),
                    _share(figures["incorrect_compliance_one_draw_per_episode"]),
                    _share(figures["incorrect_refusal"]),
                    _share(some),
                )
            )
        head = (
            f"scorer, on: {where}",
            "AUROC",
            "incorrect compliance",
            "… one draw an episode",
            "incorrect refusal",
            "some of 2 unsafe candidates passes",
        )
        lines += _table(head, rows)
    lines += _table(
        (
            "kind of chunk (test)",
            "chunks",
            "unsafe",
            "refused",
            "incorrect compliance",
            "incorrect refusal",
        ),
        [
            (
                kind,
                str(k["n"]),
                f"{k['unsafe']:.3f}",
                f"{k['refused']:.3f}",
                _share(k["incorrect_compliance"]),
                _share(k["incorrect_refusal"]),
            )
            for kind, k in report["kinds"].items()
        ],
    )
    return "\n".join(lines)
