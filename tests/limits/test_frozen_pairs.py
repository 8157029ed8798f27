"""Which pairs there are, and the refusal of frozen files that hide one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checkrein.limits.errors import InputError
from checkrein.limits.frozen import parse_frozen
from checkrein.limits.frozen_pairs import candidate_pairs
from checkrein.limits.loading import robots_folder

FROZEN = (robots_folder() / "franka_panda.json").read_bytes()
FIRST = ["panda_link1", "panda_link3"]


def parse(plain: Any) -> Any:
    return parse_frozen(json.dumps(plain).encode(), "x.json", Path())


def test_neighbours_are_left_out() -> None:
    links = [("hand", 3), ("a", 0), ("b", 1), ("c", 2), ("tool", 3), ("a", 0)]
    assert candidate_pairs(links) == [
        ("a", "c"), ("a", "hand"), ("a", "tool"), ("b", "hand"), ("b", "tool"),
    ]  # fmt: skip
    assert candidate_pairs([("a", 0), ("b", 1)]) == []


def test_a_file_without_the_section_declares_nothing() -> None:
    plain = json.loads(FROZEN)
    del plain["self_collision"]
    del plain["on_violation"]["self_collision"]
    limits = parse(plain)
    assert limits.self_collision is None
    assert "self_collision" not in limits.on_violation


def test_a_reason_is_kept() -> None:
    plain = json.loads(FROZEN)
    plain["self_collision"] = {"none": "a toy"}
    del plain["on_violation"]["self_collision"]
    declared = parse(plain).self_collision
    assert (declared.none_reason, declared.pairs) == ("a toy", ())
    ignored = parse(json.loads(FROZEN)).self_collision.ignored
    assert [pair[:2] for pair in ignored] == [("panda_link5", "panda_link7")]


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a pair dropped": (lambda s: s["pairs"].pop(3), "neither declared nor ignored"),
    "a pair twice": (lambda s: s["pairs"].append(FIRST), "appears twice"),
    "kept and ignored": (
        lambda s: s["ignored"].append({"pair": FIRST, "reason": "why not"}), "appears twice",
    ),
    "no reason": (lambda s: s["ignored"][0].update(reason=""), "length"),
    "reason missing": (lambda s: s["ignored"][0].pop("reason"), "reason"),
    "unknown link": (lambda s: s["pairs"][0].__setitem__(0, "elbow"), "no capsule 'elbow'; there"),
    "wrong way round": (lambda s: s["pairs"][0].reverse(), "the first must be nearer"),
    "neighbours": (
        lambda s: s["pairs"].append(["panda_link1", "panda_link2"]), "the first must be nearer",
    ),
    "three links": (lambda s: s["pairs"][0].append("tray"), "length"),
    "standoff": (lambda s: s.update(standoff=-0.1), "standoff"),
    "standoff missing": (lambda s: s.pop("standoff"), "standoff"),
    "unknown key": (lambda s: s.update(radius=1.0), "radius"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused(case: str) -> None:
    change, complaint = WRONG[case]
    plain = json.loads(FROZEN)
    change(plain["self_collision"])
    with pytest.raises(InputError, match=complaint):
        parse(plain)


def test_what_to_do_is_declared_with_it_and_only_with_it() -> None:
    for key in ("self_collision", "on_violation"):
        plain = json.loads(FROZEN)
        holder = plain if key == "self_collision" else plain["on_violation"]
        del holder["self_collision"]
        with pytest.raises(InputError, match=r"on_violation\.self_collision"):
            parse(plain)


def test_a_link_is_on_one_joint() -> None:
    plain = json.loads(FROZEN)
    tray = next(c for c in plain["capsules"] if c["name"] == "tray")
    tray["joint"] = 5
    with pytest.raises(InputError, match="'tray' is on two joints"):
        parse(plain)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"planes": None}, "planes"),
        ({"vertices": [[0.0, 0.0, 0.0]] * 4}, "not convex"),
        ({"planes": [[1.0, 0.0, 0.0, 9.0]] * 4}, "no closed convex body"),
    ],
)
def test_a_mesh_that_is_no_solid_is_refused(change: Any, complaint: str) -> None:
    plain = json.loads(FROZEN)
    common = {"name": "m", "kind": "keep_out", "on_violation": "clamp", "exempt": []}
    sides = [[a * s for a in axis] for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
             for s in (1.0, -1.0)]  # fmt: skip
    corners = [[x, y, z] for x in (8.0, 9.0) for y in (8.0, 9.0) for z in (8.0, 9.0)]
    offsets = (9.0, -8.0) * 3
    mesh = {"vertices": corners, "planes": [[*n, o] for n, o in zip(sides, offsets, strict=True)]}
    plain["volumes"].append({**common, "shape": "mesh", **mesh})
    assert parse(plain).volumes[-1].planes.shape == (6, 4)
    plain["volumes"][-1].update(change)
    with pytest.raises(InputError, match=complaint):
        parse(plain)


def test_a_cylinder_without_length_is_refused() -> None:
    plain = json.loads(FROZEN)
    common = {"name": "c", "kind": "keep_out", "on_violation": "clamp", "exempt": []}
    place = {"start": [8.0, 0.0, 0.0], "end": [8.0, 0.0, 1.0], "radius": 0.1}
    plain["volumes"].append({**common, "shape": "cylinder", **place})
    assert parse(plain).volumes[-1].shape == "cylinder"
    plain["volumes"][-1]["end"] = place["start"]
    with pytest.raises(InputError, match="the same point"):
        parse(plain)
