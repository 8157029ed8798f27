"""The usual tick, in one call: the same decisions as `decide`, and nothing that it should look at.

Besides, every tick of the tests in this folder is decided both ways (conftest.py).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig
from tests.gripping import Hand, gripping, towards
from tests.robots import panda, slider, turntable
from tests.seeing import World, seeing
from tests.twice import twice

from checkrein.controller import Decision, failsafe
from checkrein.controller.memory import Memory
from checkrein.controller.seeing import BLIND
from checkrein.controller.stop_state import Phase
from checkrein.controller.trail import Tick
from checkrein.controller.usual import usual
from checkrein.limits import Command, Executed, Limits, Obstacles, OnViolation, RobotState
from checkrein.limits.core import Core
from checkrein.limits.records import MODES, TCP_MODES
from checkrein.scripts.fuzz.campaign import run_campaign
from checkrein.scripts.fuzz.limits_source import find

NAN = float("nan")


def memory_of(rig: Rig) -> Memory:
    assert rig.guard.memory is not None
    return rig.guard.memory


class Ready:
    """A robot under way, and all that the next decision is asked with."""

    def __init__(self, limits: Limits | None = None, ticks: int = 5) -> None:
        self.rig = Rig(turntable() if limits is None else limits).arm()
        self.rig.run(0.2, ticks)
        self.core, self.memory = Core(self.rig.limits), memory_of(self.rig)
        self.now_ns = self.rig.now_ns + self.rig.period_ns
        self.state = self.rig.state(stamp_ns=self.now_ns)
        self.proposal: Any = self.rig.velocity(0.2)

    def asked(self, **changes: Any) -> tuple[Decision, Memory] | None:
        given = {
            "memory": self.memory, "state": self.state, "proposal": self.proposal,
            "now_ns": self.now_ns, **changes,
        }  # fmt: skip
        return twice(self.core, **given)

    def is_usual(self, **changes: Any) -> bool:
        return self.asked(**changes) is not None


@pytest.fixture(scope="module")
def ready() -> Ready:
    return Ready()


class TestWhatIsUsual:
    def test_a_new_command(self, ready: Ready) -> None:
        found = ready.asked()
        assert found is not None
        assert (found[0].outcome, found[0].accepted) == ("pass", 0)
        assert found[0].command_seq == ready.proposal.seq

    def test_the_only_one_of_several_candidates(self, ready: Ready) -> None:
        """As commands come over the bus, and from the wrapper."""
        for several in ((ready.proposal,), [ready.proposal]):
            found = ready.asked(proposal=several)
            assert found is not None
            assert (found[0].accepted, found[0].command_seq) == (0, ready.proposal.seq)

    def test_a_chunk_that_is_followed(self) -> None:
        ready = Ready()
        rows = np.array([[0.2], [0.21], [0.22]])
        chunk = ready.rig.command("joint_velocity", rows, period_ms=20.0)
        ready.rig.tick(chunk)
        now_ns = ready.now_ns + ready.rig.period_ns
        found = ready.asked(
            memory=memory_of(ready.rig), state=ready.rig.state(stamp_ns=now_ns), now_ns=now_ns,
            proposal=None,
        )  # fmt: skip
        assert found is not None
        assert (found[0].outcome, found[0].command_seq) == ("pass", chunk.seq)

    def test_the_tick_after_a_frame_was_lost(self) -> None:
        rig = Rig(turntable()).arm()
        sent = rig.run(0.2, 5)
        rig.run(0.2, 1)  # which does not arrive: the robot plays a tick of the stop
        rig.q, rig.dq, _ = sent.setpoint.stop.sample(1)
        decision = rig.tick(rig.velocity(0.2), executed=Executed(sent.seq, 1))
        assert decision.stop_tick == 0
        now_ns = rig.now_ns + rig.period_ns
        given = rig.state(stamp_ns=now_ns), rig.velocity(0.2), now_ns
        assert twice(Core(rig.limits), memory_of(rig), *given) is not None

    def test_no_command_while_the_last_one_is_followed(self, ready: Ready) -> None:
        found = ready.asked(proposal=None)
        assert found is not None
        assert (found[0].outcome, found[0].accepted) == ("pass", None)

    @pytest.mark.parametrize("mode", MODES)
    def test_every_mode(self, mode: Any) -> None:
        ready = Ready(panda())
        width = 6 if mode in TCP_MODES else 7
        asked = np.array(ready.state.q) if mode == "joint_position" else np.full(width, 1e-4)
        found = ready.asked(proposal=replace(ready.proposal, mode=mode, values=asked))
        assert found is not None
        assert found[0].accepted == 0

    def test_what_is_clamped(self, ready: Ready) -> None:
        found = ready.asked(proposal=replace(ready.proposal, values=np.full(1, 1e3)))
        assert found is not None
        assert found[0].outcome == "clamp"
        assert found[0].findings

    def test_what_is_refused(self) -> None:
        limits = turntable()
        refusing = {**limits.on_violation, "joint_velocity": OnViolation.REFUSE}
        ready = Ready(replace(limits, on_violation=refusing))
        found = ready.asked(proposal=replace(ready.proposal, values=np.full(1, 1e3)))
        assert found is not None
        assert (found[0].outcome, found[0].stop_tick) == ("refuse", 1)
        assert found[0].stop_state.phase == "stopping"

    def test_a_setpoint_that_was_executed(self, ready: Ready) -> None:
        executed = Executed(ready.memory.seq, 0)
        assert ready.is_usual(state=replace(ready.state, executed=executed))

    def test_ages_up_to_what_is_declared(self, ready: Ready) -> None:
        timing = ready.rig.limits.timing
        oldest = ready.now_ns - round(timing.state_age_max_ms * 1e6)
        assert ready.is_usual(state=replace(ready.state, stamp_ns=oldest))
        oldest = ready.now_ns - round(timing.command_timeout_ms * 1e6)
        assert ready.is_usual(proposal=replace(ready.proposal, stamp_ns=oldest))

    def test_the_first_command_that_there_was(self, ready: Ready) -> None:
        assert ready.is_usual(memory=ready.memory._replace(command_seq=None))

    def test_the_last_tick_of_a_command(self, ready: Ready) -> None:
        plan = ready.memory.plan
        assert plan is not None
        last = ready.memory._replace(plan=plan._replace(elapsed=plan.ticks - 1))
        assert ready.is_usual(memory=last, proposal=None)


class TestWhatIsLeftToDecide:
    @pytest.mark.parametrize(
        "changes",
        [
            {"mode": "joint_wishes"},
            {"mode": "tcp_twist"},
            {"values": np.zeros(6), "mode": "joint_velocity"},
            {"values": np.zeros((1, 1)), "period_ms": 20.0},
            {"values": np.zeros((1, 1))},
            {"values": np.array([NAN])},
            {"period_ms": 20.0},
            {"valid_ms": 20.0},
            {"gripper": towards(0.01)},
        ],
        ids=str,
    )
    def test_a_command_that_is_not_one_plain_row(
        self, ready: Ready, changes: dict[str, Any]
    ) -> None:
        assert not ready.is_usual(proposal=replace(ready.proposal, **changes))

    def test_a_command_that_is_no_news_or_of_another_time(self, ready: Ready) -> None:
        last = ready.memory.command_seq
        assert last is not None
        for seq in (last, last - 1):
            assert not ready.is_usual(proposal=replace(ready.proposal, seq=seq))
        timeout_ns = round(ready.rig.limits.timing.command_timeout_ms * 1e6)
        for stamp_ns in (ready.now_ns + 1, ready.now_ns - timeout_ns - 1):
            assert not ready.is_usual(proposal=replace(ready.proposal, stamp_ns=stamp_ns))

    def test_several_commands_or_what_is_none(self, ready: Ready) -> None:
        given = ready.proposal
        for several in ((given, given), [given, given], (), [], (None,), ((given,),)):
            assert usual(
                ready.core, ready.memory, ready.state, several, ready.now_ns  # type: ignore[arg-type]
            ) is None, several  # fmt: skip

        class Special(Command):
            """Who knows what it does."""

        special = Special(given.mode, given.values, given.seq, given.stamp_ns)
        assert not ready.is_usual(proposal=special)

    def test_a_state_that_is_not_as_it_should_be(self, ready: Ready) -> None:
        seq, period_ns = ready.memory.seq, ready.rig.period_ns
        oldest_ns = round(ready.rig.limits.timing.state_age_max_ms * 1e6)
        one = Obstacles(np.array([[9.0, 9.0, 9.0]]), 0.01, ready.now_ns)
        for changes in (
            {"q": np.array([NAN])},
            {"q": ready.state.q + 1.0},
            {"q": np.zeros(2)},
            {"dq": np.array([NAN])},
            {"tau": np.zeros(2)},
            {"tau_ext": np.array([NAN])},
            {"wrench_tcp": np.full(6, 1e6)},
            {"stamp_ns": ready.now_ns + 1},
            {"stamp_ns": ready.now_ns - oldest_ns - 1},
            {"executed": Executed(seq - 1, 0)},
            {"executed": Executed(seq, 1)},
            {"obstacles": one},
        ):
            assert not ready.is_usual(state=replace(ready.state, **changes)), changes
        late = {"now_ns": ready.now_ns + period_ns}
        state = replace(ready.state, stamp_ns=late["now_ns"])
        proposal = replace(ready.proposal, stamp_ns=late["now_ns"])
        assert not ready.is_usual(state=state, proposal=proposal, **late)

    def test_what_only_looks_like_a_state(self, ready: Ready) -> None:
        """Its arrays may be of any kind, and the kernel is called without a look at them."""
        alike = SimpleNamespace(
            **{item.name: getattr(ready.state, item.name) for item in fields(RobotState)}
        )
        alike.q = ready.state.q.astype(np.float32)
        state: Any = alike
        assert usual(ready.core, ready.memory, state, ready.proposal, ready.now_ns) is None

    def test_a_memory_of_anything_but_plain_motion(self, ready: Ready) -> None:
        memory = ready.memory
        for changes in (
            {"phase": Phase.STOPPING},
            {"phase": Phase.AT_REST},
            {"phase": Phase.LATCHED_STOPPING},
            {"changed_seq": memory.seq},
            {"resample_since_ns": ready.now_ns - 1},
            {"ramp_ticks": 1},
            {"back": np.zeros((2, 1))},
            {"trail": (Tick(memory.seq, 0, memory.motion),)},
            {"now_ns": None},
        ):
            assert usual(
                ready.core, memory._replace(**changes), ready.state, ready.proposal, ready.now_ns
            ) is None, changes  # fmt: skip

    def test_nothing_to_follow(self, ready: Ready) -> None:
        plan = ready.memory.plan
        assert plan is not None
        for changes in ({"plan": None}, {"plan": plan._replace(elapsed=plan.ticks)}):
            assert not ready.is_usual(memory=ready.memory._replace(**changes), proposal=None)

    def test_a_wrench_that_is_missing(self) -> None:
        limits = turntable()
        ready = Ready(limits)
        core = Core(replace(limits, tcp=replace(limits.tcp, force_required=True)))
        given = ready.memory, ready.state, ready.proposal, ready.now_ns
        assert usual(core, *given) is None
        measured = replace(ready.state, wrench_tcp=np.zeros(6))
        assert usual(core, ready.memory, measured, ready.proposal, ready.now_ns) is not None

    def test_a_gripper_is_declared(self) -> None:
        hand = Hand(gripping(slider()))
        for _ in range(3):
            hand.tick(hand.rig.velocity(0.1))
        rig = hand.rig
        now_ns = rig.now_ns + rig.period_ns
        state = rig.state(stamp_ns=now_ns, gripper=hand.measured())
        memory, proposal = memory_of(rig), rig.velocity(0.1)
        armless = memory._replace(grip=None)  # as no filter makes it
        bare = Core(replace(rig.limits, gripper=None))
        for core, remembered in ((Core(rig.limits), memory), (Core(rig.limits), armless)):
            assert usual(core, remembered, state, proposal, now_ns) is None
        assert usual(bare, memory, state, proposal, now_ns) is None
        assert usual(bare, armless, state, proposal, now_ns) is not None

    def test_perception_is_declared(self) -> None:
        world = World(seeing(slider()))
        world.run(0.1, 3)
        rig = world.rig
        now_ns = rig.now_ns + rig.period_ns
        memory, given = memory_of(rig), (rig.state(stamp_ns=now_ns), rig.velocity(0.1), now_ns)
        blind = memory._replace(seen=BLIND)  # as no filter makes it
        core, bare = Core(rig.limits), Core(replace(rig.limits, perception=None))
        assert usual(core, memory, *given) is None
        assert usual(core, blind, *given) is None
        assert usual(bare, memory, *given) is None
        assert usual(bare, blind, *given) is not None


def test_a_new_field_is_thought_of_here() -> None:
    """Whoever adds one: can a tick in which it says something be usual? See controller/usual.py."""
    every = {
        "memory": set(Memory._fields),
        "state": {item.name for item in fields(RobotState)},
        "command": {item.name for item in fields(Command)},
        "limits": {item.name for item in fields(Limits)},
    }
    asked_about = {
        "memory": "phase now_ns plan command_seq resample_since_ns continues trail changed_seq "
        "seen back ramp_ticks grip",
        "state": "q dq stamp_ns tau tau_ext wrench_tcp executed obstacles gripper",
        "command": "mode values seq stamp_ns valid_ms period_ms gripper",
        "limits": "perception gripper ramp_s timing tcp classifier",
    }
    no_matter = {
        "memory": "seq motion stop_tick cause history ends",  # what any tick goes on from
        "state": "objects humans",  # `decide` does not look at them
        "command": "",
        # What kernels read, and what is said of a limit that bound.
        "limits": "name sha256 format period_s joints kinematics capsules volumes standoff home "
        "on_violation stop_category source provenance self_collision links zones tool payload "
        "keeps_direction variants",
    }
    for record, names in every.items():
        assert names == {*asked_about[record].split(), *no_matter[record].split()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xarm6", "kuka_iiwa7"])
def test_attacks_are_decided_the_same_and_many_of_them_in_one_call(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[bool] = Counter()

    def counted(*given: Any) -> Any:
        found = twice(*given)
        calls[found is not None] += 1
        return found

    monkeypatch.setattr(failsafe, "usual", counted)
    assert run_campaign(find(name), steps=1500, seed=3).failed is None
    assert calls[True] > 300
