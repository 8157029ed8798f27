"""Branch coverage and mutation score of limits/kinds, the certified stop and decide.

`./scripts/mutants` runs it, and goes on where it was interrupted; docs/mutants.md has the outcome.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tests.mutation import campaign
from tests.mutation.campaign import JIT_OFF, SURVIVED, Answer, answers_of
from tests.mutation.mutants import mutants_of
from tests.mutation.targets import ROOT, TARGETS, Target

SCORE_MIN = 0.9


def _coverage(targets: list[Target]) -> dict[str, list[Any]]:
    """Per file, the lines and branches that none of the tests takes."""
    tests = sorted({test for target in targets for test in target.tests})
    with tempfile.TemporaryDirectory() as folder:
        # Only these files are traced: everything else runs at its own speed.
        options, report = Path(folder) / "coveragerc", Path(folder) / "report.json"
        lines = "".join(f"\n    */{target.path}" for target in targets)
        options.write_text(f"[run]\nbranch = True\ninclude ={lines}\n", encoding="utf-8")
        command, common = (
            [sys.executable, "-m", "coverage"],
            [f"--rcfile={options}", f"--data-file={folder}/data"],
        )
        pytest = ("-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *tests)
        for step in (["run", *common, *pytest], ["json", *common, "-o", str(report)]):
            subprocess.run([*command, *step], cwd=ROOT, check=True, stdout=sys.stderr)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    found = {}
    for target in targets:
        of_file = [part for path, part in files.items() if path.endswith(target.path)]
        if not of_file:
            raise typer.BadParameter(f"{target.path}: no test imports it")
        found[target.path] = of_file[0]["missing_lines"] + of_file[0]["missing_branches"]
    return found


def _row(target: Target, folder: Path, missing: dict[str, list[Any]]) -> dict[str, Any]:
    answers = list(answers_of(folder, target).values())
    outcomes = [answer.outcome for answer in answers]
    source = (ROOT / target.path).read_text(encoding="utf-8")
    return {
        "mutants": sum(1 for _ in mutants_of(source)),
        "asked": len(answers),
        **{name: outcomes.count(name) for name in ("killed", "timeout", "survived")},
        "score": 1.0 - outcomes.count(SURVIVED) / len(answers) if answers else None,
        "survivors": [_survivor(a) for a in answers if a.outcome == SURVIVED],
        "uncovered": missing.get(target.path),
    }


def _survivor(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in ("line", "operator", "before", "after")}


def _print(rows: dict[str, dict[str, Any]]) -> None:
    columns = ("mutants", "asked", "killed", "timeout", "survived", "score", "uncovered")
    table = Table("file", *columns)
    for path, row in rows.items():
        cells = [row[name] for name in columns]
        table.add_row(
            path,
            *("" if c is None else f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells),
        )
    console = Console()
    console.print(table)
    for path, row in rows.items():
        for one in row["survivors"]:
            console.print(
                f"{path}:{one['line']}\n  - {one['before']}\n  + {one['after']}",
                highlight=False,
                markup=False,
            )


def main(
    only: Annotated[list[str] | None, typer.Argument(help="Names of files; none: all.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Mutants at the same time.")] = 2,
    seconds: Annotated[float, typer.Option(min=0.0, help="Begin no further mutant after.")] = 1e9,
    folder: Annotated[Path, typer.Option(help="Where answers are kept.")] = ROOT / "runs/mutants",
    again: Annotated[bool, typer.Option(help="Ask again about survivors.")] = False,
    coverage: Annotated[bool, typer.Option(help="Measure branch coverage first.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Fails below full coverage, or below a score of 90 %, over the files that were asked for."""
    if os.environ.get(JIT_OFF) != "1":
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.mutation", *sys.argv[1:]],
            {**os.environ, JIT_OFF: "1"},
        )
    names = [target.name for target in TARGETS]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"{sorted(unknown)}: one of {names}")
    targets = [target for target in TARGETS if not only or target.name in only]
    missing = _coverage(targets) if coverage else {}
    codes = [campaign.run(target, folder, jobs, again, seconds) for target in targets]
    rows = {target.path: _row(target, folder, missing) for target in targets}
    asked = sum(row["asked"] for row in rows.values())
    survived = sum(row["survived"] for row in rows.values())
    score = 1.0 - survived / asked if asked else 0.0
    if as_json:
        print(json.dumps({"score": score, "asked": asked, "survived": survived, "files": rows}))
    else:
        _print(rows)
        print(f"score {score:.1%}: {survived} of {asked} mutants survived")
    sys.exit(any(codes) or any(missing.values()) or score < SCORE_MIN)


if __name__ == "__main__":
    typer.run(main)
