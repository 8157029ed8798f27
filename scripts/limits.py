"""`checkrein limits list | init | check | explain | schema | freeze`.

Exit code 0: good; 1: `freeze --check` found a difference; 2: the input is wrong, and the message
says which field, value and bound.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..limits.authoring.template import template
from ..limits.authoring.urdf import resolve_urdf
from ..limits.declared import Limits
from ..limits.errors import InputError, LimitsFileError
from ..limits.loading import load_limits, read_bounded, shipped_names, vetted, write_atomic
from .limits_tables import explained_rows, list_rows, print_explained, print_list

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
LimitsArgument = Annotated[
    str, typer.Argument(metavar="LIMITS", help="A shipped robot, a .json or a .yaml file.")
]


def _say(as_json: bool, found: dict[str, Any], text: str) -> None:
    if as_json:
        print(json.dumps(found))
    else:
        Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _check_classifier(limits: Limits) -> None:
    """The declared classifier is there, is the declared one, and gives its golden answers."""
    if limits.classifier.file is not None:
        from ..models.classifier import Classifier

        Classifier.load(limits)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """The robots that checkrein ships limits for."""
    every = [load_limits(name) for name in shipped_names()]
    if as_json:
        print(json.dumps({"robots": list_rows(every)}))
    else:
        print_list(every)


@app.command("init")
def init_command(
    urdf: Annotated[str, typer.Argument(metavar="ROBOT.urdf", help="The robot's URDF.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .yaml file to write.")],
    name: Annotated[str | None, typer.Option(help="Name of the limits; default: OUT's.")] = None,
    package: Annotated[
        str | None, typer.Option(help="The URDF is in this package: pybullet_data.")
    ] = None,
    lock: Annotated[
        list[str] | None, typer.Option(help="JOINT=POSITION of a joint that does not move.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Begin a limits file from a URDF; what the URDF does not know is marked REQUIRED."""
    if out.suffix not in (".yaml", ".yml"):
        raise LimitsFileError(f"{out}: the file to write must end in .yaml")
    if out.exists() and not force:
        raise LimitsFileError(f"{out} exists; --force overwrites it")
    if not out.parent.is_dir():
        raise LimitsFileError(f"{out.parent} is not a folder")
    path = resolve_urdf(urdf, package, None)
    written_as = urdf if package else os.path.relpath(path.resolve(), out.resolve().parent)
    called = name or re.sub(r"[^a-z0-9_\-]", "_", out.stem.lower())
    text = template(path, written_as, package, called, _locked(lock or []))
    write_atomic(out, text.encode())
    count = len(re.findall(r"^[^#\n]*\bREQUIRED\b", text, re.MULTILINE))
    _say(
        as_json,
        {"file": str(out), "required": count},
        f"{out}: {count} fields are marked REQUIRED; fill them in, then run "
        f"`checkrein limits check {out}`",
    )


def _locked(words: list[str]) -> dict[str, float]:
    locked: dict[str, float] = {}
    for word in words:
        joint, _, value = word.partition("=")
        try:
            locked[joint] = float(value)
        except ValueError as error:
            raise LimitsFileError(
                f"--lock {word}: expected JOINT=POSITION, e.g. grip=0.0"
            ) from error
    return locked


@app.command("check")
def check_command(limits: LimitsArgument, as_json: JsonOption = False) -> None:
    """Read limits as the runtime would: schema, sources, capsules, feasibility, classifier."""
    try:
        found = load_limits(limits)
        _check_classifier(found)
    except InputError as error:
        if as_json:
            print(json.dumps({"ok": False, "error": str(error)}))
        raise
    declared = found.self_collision
    pairs = None if declared is None or declared.none_reason else len(declared.pairs)
    missing = "not declared" if declared is None else "declined"
    links = f"{pairs} pairs of links" if pairs is not None else f"self-collision {missing}"
    _say(
        as_json,
        {"ok": True, "name": found.name, "sha256": found.sha256, "self_collision_pairs": pairs},
        f"{found.name}: good; {len(found.joints)} joints, {len(found.capsules)} capsules, "
        f"{len(found.volumes)} volumes, {links}\nsha256 {found.sha256}",
    )


@app.command("explain")
def explain_command(limits: LimitsArgument, as_json: JsonOption = False) -> None:
    """Every value: its unit, where it comes from, what it was tightened from."""
    found = load_limits(limits)
    if as_json:
        values = explained_rows(found)
        print(json.dumps({"name": found.name, "sha256": found.sha256, "values": values}))
    else:
        print_explained(found)


@app.command("schema")
def schema_command(as_json: JsonOption = False) -> None:
    """JSON Schema of a limits file, for editors that complete and check YAML."""
    from ..limits.schema import LimitsFile

    print(json.dumps(LimitsFile.model_json_schema(), indent=None if as_json else 2))


@app.command("freeze")
def freeze_command(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The limits file.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Default: beside FILE, ending in .json.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if OUT would change.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compile a limits file to the frozen form that the runtime reads."""
    from ..limits.freezing import freeze_yaml

    if file.suffix not in (".yaml", ".yml"):
        raise LimitsFileError(f"{file}: expected a .yaml file")
    target = out or file.with_suffix(".json")
    if target.suffix != ".json":
        raise LimitsFileError(f"{target}: the frozen file must end in .json")
    data = freeze_yaml(read_bounded(file), file)
    found = vetted(data, target)
    _check_classifier(found)
    changed = not target.is_file() or read_bounded(target) != data
    if changed and not check:
        write_atomic(target, data)
    _say(
        as_json,
        {"file": str(target), "sha256": found.sha256, "changed": changed},
        f"{target}: {'changed' if changed else 'unchanged'}\nsha256 {found.sha256}",
    )
    if check and changed:
        raise typer.Exit(1)
