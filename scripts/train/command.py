"""`checkrein train classifier`: labelled roll-outs, a network, a threshold, what they are worth.

Guarantees: the same limits, seed, number of chunks and versions give the same data and model; the
limits file is left alone (the section to put into it is written beside the model). An interrupted
run goes on where it stopped when it is started again with the same --out.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...limits import InputError, Limits, MissingExtraError, load_limits
from ...limits.loading import robots_folder, shipped_names, write_atomic

if TYPE_CHECKING:
    from .fit import Chunks, Fit, Promise
    from .shards import Run

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

RESCORE_DEVIATION_RAD = 0.05
SHIFTED_SEED = 1_000_000  # added to the seed: no episode in common


@app.callback()
def train() -> None:
    """Train what the limits files refer to."""


def frozen_path(name_or_path: str) -> Path:
    """The frozen file of a shipped robot, or the one that is named."""
    if name_or_path in shipped_names():
        return robots_folder() / f"{name_or_path}.json"
    path = Path(name_or_path)
    if path.suffix != ".json" or not path.is_file():
        raise InputError(
            f"{name_or_path!r} is neither a shipped robot ({', '.join(shipped_names())}) nor a "
            "frozen limits file (.json); make one with `checkrein limits freeze`"
        )
    return path


def _digest_without_classifier(path: Path) -> str:
    """SHA-256 over everything in the frozen file but the classifier that is about to be made."""
    frozen = json.loads(path.read_bytes())
    frozen.pop("classifier")
    text = json.dumps(frozen, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _collect(run: Run, folder: Path, chunks: int, processes: int) -> tuple[dict[str, Any], str]:
    """The labelled chunks of a run, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from . import shards

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(folder.name, total=chunks)
        needed = shards.collect(
            run, folder, chunks, processes, lambda done: bar.update(task, completed=done)
        )
    return shards.load(folder, needed)


def _golden(chunks: Chunks, fitted: Fit) -> Any:
    """Feature vectors spread over the whole range of risks."""
    import numpy as np

    from ...models.export import GOLDEN_VECTORS

    risks = fitted.network.risk(chunks.x)
    order = np.argsort(risks, kind="stable")
    return chunks.x[order[np.linspace(0, len(order) - 1, GOLDEN_VECTORS).astype(int)]]


def _section(file: str, sha256: str, threshold: float) -> str:
    return (
        "classifier:\n"
        f"  file: {file}\n"
        f"  sha256: {sha256}\n"
        f"  threshold: {threshold!r}\n"
        f"  rescore_deviation: {RESCORE_DEVIATION_RAD}\n"
    )


def _made(
    limits: Limits,
    run: Run,
    data: dict[str, Any],
    sha256: str,
    shifted: dict[str, Any] | None,
    options: dict[str, int],
    promise: Promise,
    out: Path,
) -> dict[str, Any]:
    """Fit, export, report; everything is written into `out`."""
    import torch

    from ...models.export import to_onnx
    from ...models.training import TrainingOptions
    from . import fit as fitting

    chunks = fitting.prepare(limits, data)
    training = TrainingOptions(seed=run.seed, **options)
    fitted = fitting.fit(chunks, training, promise)
    moved = None if shifted is None else fitting.prepare(limits, shifted)
    report = fitting.report(fitted, moved, run.seed)
    account = {
        "robot": limits.name,
        "joints": [joint.name for joint in limits.joints],
        "limits_sha256_without_classifier": run.limits_sha256,
        "data_sha256": sha256,
        "seed": run.seed,
        "chunks": len(chunks),
        "training": asdict(training),
        "promise": asdict(promise),
        "torch": torch.__version__,
    }
    model = to_onnx(fitted.network, _golden(fitted.sets["test"], fitted), account)
    name, digest = f"{limits.name}.onnx", hashlib.sha256(model).hexdigest()
    result = {**account, "file": name, "sha256": digest, "bytes": len(model), **report}
    write_atomic(out / name, model)
    text = json.dumps(result, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_atomic(out / "report.json", text.encode("utf-8"))
    section = _section(name, digest, fitted.threshold)
    write_atomic(out / "classifier.yaml", section.encode("utf-8"))
    return result


@app.command("classifier")
def classifier(
    limits: Annotated[str, typer.Argument(help="Shipped robot, or frozen limits file.")] = (
        "franka_panda"
    ),
    chunks: Annotated[int, typer.Option(min=100, help="Labelled chunks.")] = 20_000,
    shifted_chunks: Annotated[
        int, typer.Option(min=0, help="Chunks with another object, to report on.")
    ] = 2_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder for data, model and report.")] = Path(
        "runs/classifier"
    ),
    processes: Annotated[int, typer.Option(min=1, help="Simulations at a time.")] = 2,
    substep_ms: Annotated[float, typer.Option(help="Simulated substep.")] = 4.0,
    members: Annotated[int, typer.Option(min=1, max=3)] = 1,
    epochs: Annotated[int, typer.Option(min=1)] = 40,
    alpha: Annotated[float, typer.Option(help="Incorrect compliance to promise.")] = 0.05,
    delta: Annotated[float, typer.Option(help="Probability of not keeping it.")] = 0.05,
    candidates: Annotated[
        int, typer.Option(min=1, max=4, help="Unsafe candidates of which none may pass.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Label chunks in simulation, train on them, and calibrate the threshold."""
    try:
        import torch  # noqa: F401 (before hours of simulation, not after)
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train", "torch") from None
    from .fit import Promise
    from .shards import Run

    path = frozen_path(limits)
    declared = load_limits(path)
    digest = _digest_without_classifier(path)
    run = Run(str(path), digest, seed, substep_ms / 1e3, shifted=False)
    data, sha256 = _collect(run, out / "chunks", chunks, processes)
    shifted = None
    if shifted_chunks:
        other = Run(str(path), digest, seed + SHIFTED_SEED, substep_ms / 1e3, shifted=True)
        shifted, _ = _collect(other, out / "shifted", shifted_chunks, processes)
    promise = Promise(alpha, delta, candidates)
    options = {"members": members, "epochs": epochs}
    result = _made(declared, run, data, sha256, shifted, options, promise, out)
    if as_json:
        json.dump(result, sys.stdout, indent=1, sort_keys=True)
        sys.stdout.write("\n")
        return
    from .tables import tables

    typer.echo(tables(result))
    typer.echo(f"Written to {out}. To use it, copy {result['file']} beside the limits file, put")
    typer.echo((out / "classifier.yaml").read_text(encoding="utf-8"))
    typer.echo("into it, and run `checkrein limits freeze`.")
