"""Which pairs of links there are to keep apart, and the reading of those that a file declares.

Guarantees: links on the same or on neighbouring joints are left out by construction (they cannot
meet, or always touch); of all others each pair is declared or ignored with a reason, exactly once:
a pair that somebody dropped from the frozen file is an error, not a gap.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .declared import SelfCollision
from .errors import LimitsFileError
from .frozen_layout import Document, NoneLayout, SelfCollisionLayout, VariantLayout

__all__ = ["candidate_pairs", "self_collision_of"]


def candidate_pairs(links: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
    """Pairs of links, each given as (name, joint), two joints or more apart; nearer to base first.

    In the order of the links; a link that is given twice counts once.
    """
    joints = dict(links)
    names = sorted(joints, key=lambda name: joints[name])  # stable: else in the order given
    return [
        (one, other)
        for i, one in enumerate(names)
        for other in names[i + 1 :]
        if joints[other] - joints[one] >= 2
    ]


def _known(pair: list[str], joints: dict[str, int], where: str) -> tuple[str, str]:
    for name in pair:
        if name not in joints:
            raise LimitsFileError(
                f"{where}: no capsule {name!r}; there are: {', '.join(sorted(joints))}"
            )
    one, other = pair
    if not joints[other] - joints[one] >= 2:
        raise LimitsFileError(
            f"{where}: [{one}, {other}]: the first must be nearer to the base by two joints or "
            f"more; others are left out by construction"
        )
    return one, other


def self_collision_of(
    document: Document, variant: VariantLayout | None = None
) -> SelfCollision | None:
    """What a frozen file, or a variant in it, declares of self-collision; None: it says nothing."""
    chosen = document if variant is None else variant
    plain, action = chosen.self_collision, document.on_violation.self_collision
    is_declared = plain is not None and "none" not in plain
    if is_declared != (action is not None):
        raise LimitsFileError(
            "on_violation.self_collision: "
            + ("missing" if is_declared else "there, but self_collision is not declared")
        )
    if plain is None:
        return None
    if not is_declared:
        reason = msgspec.convert(plain, NoneLayout, strict=True).none
        return SelfCollision((), (), 0.0, reason)
    declared = msgspec.convert(plain, SelfCollisionLayout, strict=True)
    joints: dict[str, int] = {}
    for capsule in chosen.capsules:
        if joints.setdefault(capsule.name, capsule.joint) != capsule.joint:
            raise LimitsFileError(f"capsules: {capsule.name!r} is on two joints")
    pairs = [_known(pair, joints, "self_collision.pairs") for pair in declared.pairs]
    ignored = [
        (*_known(item.pair, joints, "self_collision.ignored"), item.reason)
        for item in declared.ignored
    ]
    every = [*pairs, *((one, other) for one, other, _ in ignored)]
    twice = sorted({pair for pair in every if every.count(pair) > 1})
    if twice:
        raise LimitsFileError(f"self_collision: the pair {list(twice[0])} appears twice")
    missing = set(candidate_pairs(joints.items())) - set(every)
    if missing:
        raise LimitsFileError(
            f"self_collision: the pair {list(min(missing))} is neither declared nor ignored"
        )
    return SelfCollision(tuple(pairs), tuple(ignored), declared.standoff, None)
