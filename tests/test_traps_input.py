"""Traps 8 and 9: what is not a number, and limits files that only a wrong hand could write."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import yaml
from tests.drive import Rig, assert_within
from tests.robots import panda, slider

from checkrein.controller import Outcome
from checkrein.controller.errors import ArmError
from checkrein.limits import InputError, load_limits
from checkrein.limits.loading import robots_folder

BAD = (math.nan, math.inf, -math.inf)


class TestTrap08:
    """NaN and inf in command, state, limits file and sensor: min, max and clip fail open."""

    @pytest.mark.parametrize("bad", BAD)
    @pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_delta"])
    def test_trap_08_in_a_command(self, mode: Any, bad: float) -> None:
        rig = Rig(slider()).arm()
        rig.run(0.1, 20)
        for joint in range(2):
            values = np.zeros(2)
            values[joint] = bad
            decision = rig.tick(rig.command(mode, values))
            assert decision.outcome is Outcome.REFUSE
            assert decision.findings[0].limit == "non_finite"
        assert rig.tick(rig.velocity(0.1)).accepted == 0  # it has poisoned nothing
        assert_within(rig.limits, rig.stream)

    @pytest.mark.parametrize("bad", BAD)
    @pytest.mark.parametrize("field", ["q", "dq", "tau", "tau_ext", "wrench_tcp"])
    def test_trap_08_in_a_state_or_a_sensor(self, field: str, bad: float) -> None:
        rig = Rig(slider()).arm()
        rig.run(0.1, 20)
        wrong: dict[str, Any] = {field: np.full(6 if field == "wrench_tcp" else 2, bad)}
        decision = rig.tick(rig.velocity(0.1), **wrong)
        assert decision.outcome is Outcome.STOP
        assert decision.stop_state.latched
        rig.brake()
        assert_within(rig.limits, rig.stream)

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
    def test_trap_08_in_a_limits_file(self, text: str, tmp_path: Any) -> None:
        """json.loads accepts NaN, and 1e400 becomes inf."""
        frozen = (robots_folder() / "franka_panda.json").read_text()
        value = json.dumps(json.loads(frozen)["tcp"]["max_trans_vel"])
        wrong = frozen.replace(f'"max_trans_vel":{value}', f'"max_trans_vel":{text}')
        assert wrong != frozen
        path = tmp_path / "wrong.json"
        path.write_text(wrong)
        with pytest.raises(InputError, match=r"wrong\.json"):
            load_limits(path)


class TestTrap09:
    """Limits files that only a wrong hand could have written: refused, naming the field."""

    def changed(self, tmp_path: Any, path: tuple[Any, ...], value: Any) -> str:
        document = json.loads((robots_folder() / "franka_panda.json").read_text())
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(document))
        with pytest.raises(InputError) as error:
            load_limits(file)
        return str(error.value)

    @pytest.mark.parametrize(
        ("path", "value", "named"),
        [
            (("joints", 1, "max_velocity"), -1.0, "max_velocity|joints"),
            (("joints", 1, "min_position"), 3.0, "min_position"),
            (("joints", 1, "max_position"), -2.0, "panda_joint2"),
            (("home",), [0.0] * 6, "home"),
            (("joints", 0, "max_jerk"), "630", "max_jerk|joints"),
            (("joints", 0, "max_jerk"), None, "max_jerk|joints"),
            (("period_s",), 0.0, "period_s"),
            (("standoff",), -0.001, "standoff"),
            (("timing", "period_tolerance"), 2.0, "period_tolerance"),
        ],
    )
    def test_trap_09_negative_swapped_missing_wrong_length(
        self, path: tuple[Any, ...], value: Any, named: str, tmp_path: Any
    ) -> None:
        message = self.changed(tmp_path, path, value)
        assert any(name in message for name in named.split("|")), message

    def test_trap_09_a_missing_limit_has_no_default(self, tmp_path: Any) -> None:
        document = json.loads((robots_folder() / "franka_panda.json").read_text())
        del document["joints"][3]["max_acceleration"]
        file = tmp_path / "wrong.json"
        file.write_text(json.dumps(document))
        with pytest.raises(InputError, match="max_acceleration"):
            load_limits(file)

    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("max_velocity", "1.6 deg", "max_velocity"),  # a wrong dimension
            ("max_velocity", "0.0065 rad", "max_velocity"),  # per step, not per second
            ("max_position", 166.0, "max_position"),  # degrees
            ("max_speed", 1.0, "max_speed"),  # unknown
        ],
    )
    def test_trap_09_degrees_per_step_and_unknown_keys(
        self, field: str, value: Any, named: str, tmp_path: Any
    ) -> None:
        pytest.importorskip("pinocchio")
        pytest.importorskip("pybullet_data")
        document = yaml.safe_load((robots_folder() / "franka_panda.yaml").read_text())
        document["joint_limits"]["panda_joint1"][field] = value
        file = tmp_path / "wrong.yaml"
        file.write_text(yaml.safe_dump(document))
        with pytest.raises(InputError, match=named):
            load_limits(file)

    def test_trap_09_another_robots_limits_are_not_a_state_of_this_one(self) -> None:
        rig = Rig(panda())
        with pytest.raises(ArmError, match="expected 7 finite numbers"):
            rig.arm(q=np.zeros(6), dq=np.zeros(6))
