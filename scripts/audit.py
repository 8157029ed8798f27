"""`checkrein audit verify | replay`: is the file whole, and does every decision come out again?

Exit code 0: yes; 1: no, and at which record; 2: there is no such file, or no such limits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..controller.audit_reader import Problem, Verification, verify
from ..controller.audit_replay import replay
from ..controller.errors import AuditFileError
from ..limits.declared import Limits
from ..limits.loading import load_limits, shipped_names

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

PathArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The audit file (MCAP).")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
LimitsOption = Annotated[
    str | None,
    typer.Option(
        "--limits", help="Limits to replay under; default: the shipped ones with that digest."
    ),
]
ChangedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--changed", help="Limits that came into force on the way; once for each frozen file."
    ),
]
HeadOption = Annotated[
    str | None, typer.Option(help="Digest of the last record, as it was noted elsewhere.")
]


def _problems(problems: list[Problem]) -> list[dict[str, object]]:
    return [{"record": problem.record, "what": problem.what} for problem in problems]


@app.command("verify")
def verify_command(
    file: PathArgument, head: HeadOption = None, as_json: JsonOption = False
) -> None:
    """Find a changed byte anywhere, records left out, moved or repeated, and truncation."""
    found = verify(file)
    if head is not None and head != found.head_sha256:
        what = f"the last record's digest is {found.head_sha256}, not {head}"
        found.problems.append(Problem(found.records - 1, what))
    if as_json:
        print(
            json.dumps(
                {
                    "intact": found.is_intact,
                    "records": found.records,
                    "decisions": found.decisions,
                    "head_sha256": found.head_sha256,
                    "limits_sha256": found.header.limits_sha256 if found.header else None,
                    "problems": _problems(found.problems),
                }
            )
        )
    else:
        _print_verification(file, found)
    raise typer.Exit(0 if found.is_intact else 1)


def _print_verification(file: Path, found: Verification) -> None:
    console = Console()
    if found.is_intact:
        whole = f"{escape(str(file))}: intact, {found.records} records, closed"
        console.print(whole, soft_wrap=True)
        if found.header is not None:
            header = found.header
            console.print(f"limits {header.limits_name} {header.limits_sha256}", soft_wrap=True)
        console.print(f"head   {found.head_sha256}", soft_wrap=True)
        return
    console.print(f"{escape(str(file))}: NOT intact, {found.records} records could be read")
    for problem in found.problems:
        console.print(f"  {escape(str(problem))}", soft_wrap=True)


@app.command("replay")
def replay_command(
    file: PathArgument,
    limits: LimitsOption = None,
    changed: ChangedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the file, then derive every decision again from its inputs, bit by bit."""
    verified = verify(file)
    problems, decisions, different = list(verified.problems), 0, 0
    if verified.is_intact and verified.header is not None:
        result = replay(
            file,
            _limits_for(limits, verified.header.limits_sha256),
            changed=[load_limits(name) for name in changed or ()],
        )
        problems += result.problems
        decisions, different = result.decisions, result.different
    if as_json:
        print(
            json.dumps(
                {
                    "exact": not problems,
                    "intact": verified.is_intact,
                    "decisions": decisions,
                    "different": different,
                    "problems": _problems(problems),
                }
            )
        )
    else:
        console = Console()
        if not verified.is_intact:
            verdict = "NOT intact, so not replayed"
        elif problems:
            verdict = f"{decisions} decisions derived again, {different} came out DIFFERENTLY"
        else:
            verdict = f"{decisions} decisions derived again, all exactly as logged"
        console.print(f"{escape(str(file))}: {verdict}", soft_wrap=True)
        for problem in problems:
            console.print(f"  {escape(str(problem))}", soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


def _limits_for(name: str | None, sha256: str) -> Limits:
    if name is not None:
        return load_limits(name)
    for shipped in shipped_names():
        limits = load_limits(shipped)
        if limits.sha256 == sha256:
            return limits
    raise AuditFileError(
        f"limits_sha256: no shipped limits have the digest {sha256} that the file names; "
        "give the frozen file that it was made under with --limits FILE.json"
    )
