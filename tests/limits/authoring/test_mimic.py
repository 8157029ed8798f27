"""Mimic joints: what they may do bounds their leader; their links are covered wherever it is."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pinocchio")

from tests.limits import small_arm

from checkrein.limits import Limits
from checkrein.limits.authoring.mimic import Dependent, leader_fields, resolved
from checkrein.limits.authoring.template import _fitted, template
from checkrein.limits.authoring.urdf import load_chain
from checkrein.limits.authoring.urdf_joints import UrdfJoint
from checkrein.limits.errors import LimitsFileError, RobotError
from checkrein.limits.loading import load_limits
from checkrein.limits.records import Array
from checkrein.scripts.limits_tables import explained_rows

GRIP = '<limit lower="0" upper="0.04" velocity="0.2" effort="20"/>'
NO_RANGE = '<limit lower="0" upper="0" velocity="0.2" effort="20"/>'
FINGER = "end: [0.0, 0.0, 0.02], radius: 0.03"
FREE = small_arm.YAML.replace("locked_joints: {grip: 0.02}", "locked_joints: {}").replace(
    FINGER, FINGER.replace("0.03", "0.04")
)


def robot(folder: Path, mimic: str, text: str = FREE, **changes: str) -> Path:
    """The small arm, its grip coupled; `changes` are of the URDF."""
    path = small_arm.write(folder, text)
    urdf = folder / "small.urdf"
    written = urdf.read_text()
    for old, new in {GRIP: f"<mimic {mimic}/>{GRIP}", **changes}.items():
        assert old in written
        written = written.replace(old, new, 1)
    urdf.write_text(written)
    return path


def joint(name: str, mimics: str | None = None, k: float = 1.0, o: float = 0.0) -> UrdfJoint:
    return UrdfJoint(name, "revolute", mimics, {}, {}, k, o)


def every(*joints: UrdfJoint) -> dict[str, UrdfJoint]:
    return {one.name: one for one in joints}


@given(st.floats(0.01, 100.0), st.booleans(), st.floats(-5.0, 5.0), st.floats(-10.0, 10.0))
def test_a_range_is_mapped_back_exactly(k: float, turned: bool, offset: float, q: float) -> None:
    one = Dependent("m", "revolute", "l", -k if turned else k, offset)
    fields = leader_fields(one, {"min_position": -1.0, "max_position": 2.0, "max_velocity": 3.0})
    inside = fields["min_position"] <= q <= fields["max_position"]
    there = one.at(q)
    near = min(abs(there + 1.0), abs(there - 2.0)) < 1e-9
    assert near or inside is (-1.0 <= there <= 2.0)
    assert fields["max_velocity"] * k == pytest.approx(3.0)


class TestResolved:
    def test_it_may_mimic_one_that_mimics(self) -> None:
        joints = every(joint("a"), joint("b", "a", 2.0, 0.5), joint("c", "b", -3.0, 1.0))
        _, moving = resolved(joints, {})
        assert [(one.name, one.leader) for one in moving] == [("b", "a"), ("c", "a")]
        assert (moving[1].multiplier, moving[1].offset) == (-6.0, -0.5)
        assert resolved(joints, {"a": 1.0}) == ({"a": 1.0, "b": 2.5, "c": -6.5}, ())

    def test_a_multiplier_of_zero_stands_still(self) -> None:
        assert resolved(every(joint("a"), joint("b", "a", 0.0, 0.3)), {}) == ({"b": 0.3}, ())

    def test_one_that_was_locked_with_its_leader_stays_there(self) -> None:
        joints = every(joint("a"), joint("b", "a"))
        assert resolved(joints, {"a": 1.0, "b": 0.9})[0] == {"a": 1.0, "b": 0.9}

    @pytest.mark.parametrize(
        ("joints", "locked", "complaint"),
        [
            (every(joint("a", "b"), joint("b", "a")), {}, "itself"),
            (every(joint("a", "a")), {}, "itself"),
            (every(joint("a", "z")), {}, "no joint that moves"),
            (every(joint("a"), joint("b", "a")), {"b": 0.0}, "mimics 'a', which moves.*--lock a="),
        ],
    )
    def test_refused(self, joints: Any, locked: Any, complaint: str) -> None:
        with pytest.raises(RobotError, match=complaint):
            resolved(joints, locked)


class TestItsBoundsAreItsLeaders:
    def load(self, folder: Path, mimic: str, text: str = FREE) -> Limits:
        return load_limits(robot(folder, mimic, text))

    def test_position_and_velocity(self, tmp_path: Path) -> None:
        limits = self.load(tmp_path, 'joint="slide" multiplier="-0.2" offset="0.02"')
        slide = limits.joints[2]
        assert (slide.min_position, slide.max_position) == pytest.approx((-0.1, 0.1))
        known: Any = limits.provenance["joints.slide.max_position"]
        assert known["from"] == "URDF <limit> of grip, which mimics it (x -0.2 + 0.02)"
        slower = self.load(tmp_path, 'joint="slide" multiplier="2.0" offset="0.02"')
        assert slower.joints[2].max_velocity == pytest.approx(0.1)

    def test_what_sources_say_of_it(self, tmp_path: Path) -> None:
        source = (
            "sources:\n  - title: gripper manual\n    joint_limits:\n"
            "      grip: {max_acceleration: 0.1, max_jerk: 10.0}\nreasons:"
        )
        text = FREE.replace("reasons:", source)
        slide = self.load(tmp_path, 'joint="slide" multiplier="0.2" offset="0.02"', text).joints[2]
        assert (slide.max_acceleration, slide.max_jerk) == pytest.approx((0.5, 50.0))

    def test_explain_says_what_it_is(self, tmp_path: Path) -> None:
        limits = self.load(tmp_path, 'joint="slide" multiplier="0.2" offset="0.02"')
        (row,) = (r for r in explained_rows(limits) if r["path"] == "mimic_joints.grip")
        assert "0.2 x slide + 0.02" in row["value"]
        assert "(finger) is covered" in row["value"]
        assert limits.source["locked_joints"] == {"grip": pytest.approx(0.02)}

    def test_it_has_no_limits_of_its_own_in_the_file(self, tmp_path: Path) -> None:
        own = "joint_limits:\n  grip: {type: prismatic, min_position: 0.0, max_position: 0.04,"
        own += " max_velocity: 0.1, max_acceleration: 1.0, max_jerk: 50.0, max_effort: 10.0,"
        own += " tracking_error: 0.001, velocity_error: 0.01, effort_error: 0.5,"
        own += " recovery_velocity: 0.05}"
        with pytest.raises(LimitsFileError, match=r"mimics 'slide'.*sources"):
            self.load(tmp_path, 'joint="slide"', FREE.replace("joint_limits:", own, 1))

    def test_a_leader_without_end_has_one(self, tmp_path: Path) -> None:
        old = "{type: revolute, min_position: -3.0, max_position: 3.0, max_velocity: 2.0,"
        new = "{type: continuous, position_targets: nearest, max_velocity: 2.0,"
        text = FREE.replace(old, new)
        with pytest.raises(LimitsFileError, match=r"joint_limits\.wrist: is continuous.*revolute"):
            self.load(tmp_path, 'joint="wrist" multiplier="0.01" offset="0.02"', text)


def corners(path: Path, leader: str, q: float, follower: float) -> Array:
    """Corners of the finger in the wrist's frame, by Pinocchio alone."""
    text = path.with_suffix(".urdf").read_text().replace("continuous", "revolute")
    pin = importlib.import_module("pinocchio")
    model = pin.buildModelFromXML(text)
    geometry = pin.buildGeomFromUrdfString(model, text, pin.GeometryType.COLLISION)
    at = pin.neutral(model)
    for name, value in ((leader, q), ("grip", follower)):
        at[model.joints[model.getJointId(name)].idx_q] = value
    data, shapes = model.createData(), geometry.createData()
    pin.updateGeometryPlacements(model, data, geometry, shapes, at)
    k = next(i for i, item in enumerate(geometry.geometryObjects) if item.name.startswith("finger"))
    half = np.array(geometry.geometryObjects[k].geometry.halfSide)
    box = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    world = box @ shapes.oMg[k].rotation.T + shapes.oMg[k].translation
    wrist = data.oMi[model.getJointId("wrist")]
    return np.asarray((world - wrist.translation) @ wrist.rotation)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "k", "o"), [("prismatic", 0.2, 0.02), ("revolute", 5.0, 0.3), ("revolute", -3.0, 0.0)]
)
def test_the_fitted_capsules_hold_it_wherever_it_goes(
    kind: str, k: float, o: float, tmp_path: Path
) -> None:
    coupled = f'joint="slide" multiplier="{k}" offset="{o}"'
    changes = {}
    if kind == "revolute":
        far = GRIP.replace('upper="0.04"', 'upper="2.0"').replace('lower="0"', 'lower="-1.0"')
        changes = {'name="grip" type="prismatic"': f'name="grip" type="{kind}"'}
        changes[GRIP] = f"<mimic {coupled}/>{far}"
    path = robot(tmp_path, coupled, **changes)
    chain = load_chain(path.with_suffix(".urdf"), {}, [])
    assert chain.dependents[0].name == "grip"
    rotation, shift = chain.link_pose["finger"]
    turn = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # x of the wrist to z
    ends = [(np.array(s.start), np.array(s.end), s.radius) for s in _fitted(chain)["finger"]]
    low, high = (-0.1, 0.1) if kind == "prismatic" else (-0.2, 0.3)
    for q in np.linspace(low, high, 101):
        places = corners(path, "slide", float(q), k * float(q) + o) @ turn
        local = (places - shift) @ rotation
        best = np.min([_outside(local, *capsule) for capsule in ends], axis=0)
        assert best.max() <= 1e-9
    assert 0.0 <= chain.swell["finger"] < 0.002


def _outside(points: Array, start: Array, end: Array, radius: float) -> Array:
    along = end - start
    square = float(along @ along)
    share = (
        np.clip((points - start) @ along / square, 0.0, 1.0) if square else np.zeros(len(points))
    )
    return np.asarray(np.linalg.norm(points - start - share[:, None] * along, axis=1) - radius)


def test_capsules_that_do_not_reach_are_refused(tmp_path: Path) -> None:
    text = FREE.replace(FINGER.replace("0.03", "0.04"), FINGER)
    load_limits(robot(tmp_path, 'joint="slide" multiplier="0.0" offset="0.02"', text))
    with pytest.raises(LimitsFileError, match=r"capsules\.finger.*sticks out"):
        load_limits(robot(tmp_path, 'joint="slide" multiplier="0.2" offset="0.02"', text))


class TestRefused:
    def test_an_arm_that_goes_on_beyond_it(self, tmp_path: Path) -> None:
        slide = '<limit lower="-0.2" upper="0.3" velocity="0.5" effort="50"/>'
        path = small_arm.write(tmp_path)
        urdf = path.with_suffix(".urdf")
        urdf.write_text(urdf.read_text().replace(slide, f'<mimic joint="elbow"/>{slide}'))
        with pytest.raises(RobotError, match="'wrist' is carried by a joint that mimics"):
            load_chain(urdf, {"grip": 0.0}, [])

    def test_a_tool_or_a_tcp_on_what_it_moves(self, tmp_path: Path) -> None:
        text = FREE.replace("{name: cup, parent: plate,", "{name: cup, parent: finger,")
        with pytest.raises(RobotError, match="'cup' is fixed to what a mimic joint moves"):
            load_limits(robot(tmp_path, 'joint="slide" multiplier="0.2" offset="0.02"', text))
        text = FREE.replace("tcp: {link: plate,", "tcp: {link: finger,")
        with pytest.raises(RobotError, match=r"tcp\.link: 'finger' is moved"):
            load_limits(robot(tmp_path, 'joint="slide" multiplier="0.2" offset="0.02"', text))

    def test_no_range_at_all(self, tmp_path: Path) -> None:
        slide = '<limit lower="-0.2" upper="0.3" velocity="0.5" effort="50"/>'
        path = robot(
            tmp_path,
            'joint="slide"',
            **{slide: NO_RANGE, GRIP: f'<mimic joint="slide"/>{NO_RANGE}'},
        )
        with pytest.raises(RobotError, match=r"'grip' mimics 'slide': the URDF leaves no range"):
            load_chain(path.with_suffix(".urdf"), {}, [])

    @pytest.mark.parametrize("text", ['multiplier="two"', 'offset="nan"'])
    def test_numbers(self, text: str, tmp_path: Path) -> None:
        path = robot(tmp_path, f'joint="slide" {text}')
        with pytest.raises(RobotError, match="mimic"):
            load_chain(path.with_suffix(".urdf"), {}, [])


def test_init_begins_with_what_both_allow(tmp_path: Path) -> None:
    path = robot(tmp_path, 'joint="slide" multiplier="0.2" offset="0.02"')
    begun = template(path.with_suffix(".urdf"), "small.urdf", None, "small", {})
    block = begun[begun.index("  slide:") : begun.index("  wrist:")]
    assert "min_position: -0.09999999999999999\n" in block
    assert "max_position: 0.09999999999999999\n" in block
    assert "grip:" not in begun
