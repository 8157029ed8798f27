"""One shard of a fuzz run: attacks drive the filter, an ideal plant executes, the oracle judges.

Guarantees:
- A function of (limits, seed, shard index, steps): the number of processes changes nothing.
- The plant is ideal (`plant`); attacks see nothing of the filter but what it does.
- Time is simulated: one nominal period a tick, except where time itself is the attack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ...controller import SafetyFilter
from ...controller.decision import Decision
from ...controller.errors import ArmError
from ...limits.declared import Limits
from ...limits.records import Array, Candidates, RobotState
from ...sim.oracle import Margins, Robot, Violation
from .doubles import Answers, ScorerDouble, scorer_double
from .fingers import Hand, asked_of
from .passers import Passers
from .plant import Plant, Senses
from .poses import Poses
from .record import Input, Judged, Record, Run, judge
from .rules import RunRules, as_candidates, violation
from .streams import STREAMS, rubbish, volume_press
from .view import Stream, View

__all__ = ["Bench", "Found", "MakeFilter", "Shard", "bench_for", "run_shard", "without_margins"]

EPISODE_TICKS = 1200
RUN_TICKS_MAX = 2000  # a run is armed again after this, so that a replay stays short
ARM_TRIES = 200
QUIET_TICKS_MAX = 40
MakeFilter = Callable[[Limits, ScorerDouble | None], SafetyFilter]


@dataclass(frozen=True, slots=True)
class Found:
    """A violation with what replays it: its run, and where the robot was within its errors."""

    violation: Violation
    run: Run
    deviation: Array  # (n,)


@dataclass(slots=True)
class Shard:
    """What came of one shard."""

    index: int
    steps: int
    moving: int = 0
    binds: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    armed: int = 0
    arm_refused: int = 0
    lost: int = 0
    vetoed: int = 0
    forks: int = 0
    fork_ticks: int = 0
    second_opinions: int = 0
    beside: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    margins: Margins = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all shards of a process share."""

    robot: Robot
    limits: Limits
    poses: Poses
    scorer: ScorerDouble
    make_filter: MakeFilter

    @property
    def declares_classifier(self) -> bool:
        """Whether the filter must not run without a scorer."""
        return self.limits.classifier.file is not None


def _make_filter(limits: Limits, scorer: ScorerDouble | None) -> SafetyFilter:
    return SafetyFilter(limits, scorer=scorer)


def bench_for(
    robot: Robot, limits: Limits, poses: Poses, make_filter: MakeFilter = _make_filter
) -> Bench:
    """Load the classifier and compile the kernels, once a process."""
    scorer = scorer_double(limits)
    make_filter(limits, scorer)
    return Bench(robot, limits, poses, scorer, make_filter)


def without_margins(robot: Robot, limits: Limits) -> tuple[Robot, Limits]:
    """The same limits with every margin inside them gone, so that margins hide no defect."""
    zero = ("tracking_error", "position_noise", "velocity_error", "effort_error")
    joints = tuple(
        replace(joint, tracking_error=0.0, position_noise=0.0, velocity_error=0.0, effort_error=0.0)
        for joint in limits.joints
    )
    bounds = {k: np.zeros(robot.n) if k in zero else v for k, v in robot.bounds.items()}
    links = limits.self_collision
    links = None if links is None else replace(links, standoff=0.0)
    seeing = limits.perception
    seeing = None if seeing is None else replace(seeing, standoff=0.0)
    bare = replace(limits, joints=joints, standoff=0.0, self_collision=links, perception=seeing)
    return replace(robot, bounds=bounds), bare


class _Driver:
    """Drives one filter through one shard."""

    def __init__(self, bench: Bench, seed: int, index: int, steps: int) -> None:
        self.bench = bench
        self.rng = np.random.default_rng([seed, index])
        self.view = View(bench.robot, bench.poses, self.rng)
        self.record = Record()
        self.result = Shard(index, steps)
        self.broken: list[Violation] = []
        self.now_ns = 10**9
        self.period_ns = round(bench.robot.period_s * 1e9)
        self.answers: Answers | None = None
        self.scorer: ScorerDouble | None = None
        self.guard: SafetyFilter
        self.rules = RunRules(bench.robot, None)
        self.stream: Stream = iter(())
        self.quiet = 0  # ticks at rest
        self.decision: Decision | None = None
        self.plant = Plant(bench.robot.home)
        self.senses = Senses(bench.robot, self.view)
        self.passers: Passers | None = None
        self.hand = None if bench.robot.gripper is None else Hand(bench.robot.gripper, self.view)
        self._renew()
        self._weights = np.array([weight for _, weight in STREAMS])
        self._weights /= self._weights.sum()
        self._raised = False  # the filter's memory is in doubt: the shard ends

    def _answers(self) -> Answers | None:
        """How the scorer answers in the coming episode; None: there is no scorer."""
        drawn = float(self.rng.random())
        if not self.bench.declares_classifier:
            return None if drawn < 0.7 else "random"
        return "allow" if drawn < 0.65 else "declared" if drawn < 0.85 else "random"

    def _renew(self) -> None:
        """A new filter, for a new episode."""
        self.answers = self._answers()
        self.scorer = None if self.answers is None else self.bench.scorer
        self.guard = self.bench.make_filter(self.bench.limits, self.scorer)
        self.is_new = True  # it remembers nothing

    def _arm(self, q: Array) -> bool:
        """Arm at rest at q; False if the filter refuses this pose."""
        key = int(self.rng.integers(2**31))
        if self.scorer is not None:
            self.scorer.restart(self.answers or "allow", key)
        self.now_ns += self.period_ns
        state = RobotState(q, np.zeros(self.bench.robot.n), self.now_ns, wrench_tcp=np.zeros(6))
        self.passers = None
        if self.bench.robot.perception is not None:
            self.passers = Passers(self.bench.robot, self.view, q)
            self.passers.begin(self.now_ns)
            state = replace(state, obstacles=self.passers.cloud)
        if self.hand is not None:
            state = replace(state, gripper=self.hand.arm(self.is_new))
        try:
            self.guard.reset()
            self.guard.arm(state, now_ns=self.now_ns)
        except ArmError:
            self.result.arm_refused += 1
            return False
        zero = np.zeros(self.bench.robot.n)
        self.record.start.append((q, zero, zero))
        run = Run(self.record.rows, state, self.now_ns, self.answers, key)
        if self.hand is not None and self.hand.kept is not None:
            run.kept = (self.hand.kept.position, self.hand.kept.max_effort)
        self.is_new = False
        self.record.runs.append(run)
        self.result.vetoed += self.rules.vetoed
        self.rules = RunRules(self.bench.robot, self.scorer)
        self.view.q, self.view.dq, self.view.accepted = q, zero, None
        self.decision, self.quiet, self.stream = None, 0, iter(())
        self.plant, self.senses = Plant(q), Senses(self.bench.robot, self.view)
        self.result.armed += 1
        return True

    def _proposal(self) -> Candidates:
        if self.view.chance(0.01):
            return rubbish(self.view)
        for proposal in self.stream:
            return proposal
        attack, _ = STREAMS[int(self.rng.choice(len(STREAMS), p=self._weights))]
        self.result.streams[attack.__name__] += 1
        self.stream = attack(self.view)
        return next(self.stream, None)

    def _step(self, proposal_of: Callable[[], Candidates]) -> bool:
        """One tick; False if the run is over because the filter raised."""
        late = self.view.chance(0.0005)
        self.now_ns += self.period_ns * (1 if not late else int(self.view.pick(0, 2, 10)))
        self.view.now_ns = self.now_ns
        self.view.rubbish.clear()
        state = self.senses.measure(self.plant, self.now_ns)
        if self.passers is not None:
            self.passers.begin(self.now_ns)
            if self.view.chance(0.8):
                state = replace(state, obstacles=self.passers.cloud)
        proposal = proposal_of()
        if self.hand is not None:
            state = replace(state, gripper=self.hand.measure())
            proposal = self.hand.dress(proposal)
        lost = self.senses.loses(self.plant)
        row, marked = self.record.rows, self.view.rubbish
        offers = enumerate(as_candidates(proposal))
        bad = tuple(i for i, offer in offers if any(offer is item for item in marked))
        self.record.runs[-1].inputs.append(Input(self.now_ns, state, proposal, bad, lost))
        try:
            decision = self.guard.step(state, proposal, now_ns=self.now_ns)
        except Exception as error:  # the filter promises never to raise once armed
            subject = f"{type(error).__name__}: {error}"
            self.broken.append(violation("exception", subject, row))
            self._raised = True
            return False
        for rule, subject in self.rules.judge(state, proposal, bad, decision):
            self.broken.append(violation(rule, subject, row))
        run = self.record.runs[-1]
        if run.first_row == row:
            run.seq_before = decision.seq - 1
        if lost:
            self.plant.miss()
        else:
            self.plant.take(decision)
        if self.hand is not None:
            if not lost:
                told, is_followed = decision.setpoint.gripper, decision.stop_tick == 0
                self.hand.execute(told, is_followed=is_followed)
            is_held = lost or decision.stop_tick > 0
            self.record.asked.append(asked_of(state, self.hand.told, is_held=is_held))
        self._note(decision, lost)
        if decision.accepted is not None:
            self.view.accepted = as_candidates(proposal)[decision.accepted]
        return True

    def _note(self, decision: Decision, lost: bool) -> None:
        plant, result = self.plant, self.result
        truth = None
        if self.passers is not None:
            fresh = decision.stop_tick == 0 and not lost
            truth = self.record.runs[-1].inputs[-1].truth = self.passers.truth(is_fresh=fresh)
        self.record.add(len(self.record.runs) - 1, plant, decision, lost, truth)
        result.lost += lost
        result.outcomes[decision.outcome.value] += 1
        for bind in {bind_name(f.limit, f.subject) for f in decision.findings}:
            result.binds[bind] += 1
            self.view.binds[bind.removeprefix("workspace/").removeprefix("zone_speed/")] += 1
        self.view.q, self.view.dq, self.decision = plant.q, plant.dq, decision
        still = not bool((np.abs(plant.dq) > self.view.creeping).any())
        self.quiet = self.quiet + 1 if still else 0
        if self.quiet > 3 and self.view.chance(0.3):
            self.stream = iter(())  # nothing moves any more: another attack

    def _wind_down(self) -> None:
        """Silence until the robot rests, for as long as what is measured of it may lag behind."""
        rested = 0
        while self.record.rows < self.result.steps and self.decision is not None:
            still = self.decision.stop_state.phase == "at_rest" and not self.plant.dq.any()
            rested = rested + 1 if still else 0
            if rested > self.bench.limits.timing.latency_ticks:
                return
            if not self._step(lambda: None):
                return

    def _nudge(self) -> None:
        """Ask each joint, each way, for one tick, until the robot moves: see rules.RunRules."""
        n = self.bench.robot.n
        for way in self.rng.permutation(2 * n).tolist():
            decision, values = self.decision, np.zeros(n)
            if decision is None or decision.stop_state.latched or decision.setpoint.dq.any():
                return
            values[way // 2] = self.view.speed[way // 2] * (1.0 if way % 2 else -1.0)
            asked = partial(self.view.command, "joint_velocity", values)
            if self.record.rows >= self.result.steps or not self._step(asked):
                return

    def _start(self) -> Array:
        """Where the coming episode begins: anywhere free, or beside a volume."""
        pool, self.view.volume = self.bench.poses.free, None
        if self.view.chance(0.2):
            pool = self.bench.poses.edge
        elif self.bench.poses.beside and self.view.chance(0.75):
            self.view.volume = self.view.some_volume()
            pool = self.bench.poses.beside.get(self.view.volume or "", pool)
        return np.array(pool[int(self.rng.integers(pool.shape[0]))])

    def run(self) -> Shard:
        """Run the attacks, then judge."""
        steps = self.result.steps
        tries = 0
        while self.record.rows < steps and not self._raised:
            q = self._start()
            self._renew()
            if not self._arm(q):
                tries += 1
                if tries > ARM_TRIES:
                    raise RuntimeError(f"{ARM_TRIES} poses in a row cannot be armed")
                continue
            tries = 0
            if self.view.volume is not None:
                self.result.streams[volume_press.__name__] += 1
                self.stream = volume_press(self.view)
            self._episode()
        return self._judge()

    def _episode(self) -> None:
        """Attack until the episode is over; arm again where a latched stop came to rest."""
        end = self.record.rows + int(self.rng.integers(EPISODE_TICKS // 3, EPISODE_TICKS))
        while self.record.rows < self.result.steps:
            if not self._step(self._proposal):
                return
            decision = self.decision
            length = self.record.rows - self.record.runs[-1].first_row
            if self.answers == "declared" and self.quiet > QUIET_TICKS_MAX:
                break  # a classifier that vetoes every attack leaves nothing else to judge
            if self.record.rows >= end or length >= RUN_TICKS_MAX:
                break
            if decision is not None and decision.stop_state.latched:
                self._wind_down()
                if self.record.rows >= self.result.steps or not self._arm(self.view.q):
                    return
        self._wind_down()
        self._nudge()
        self._wind_down()

    def _judge(self) -> Shard:
        result, record = self.result, self.record
        judged: Judged = judge(self.bench.robot, record, self.rng)
        result.moving, result.forks = judged.moving, judged.forks
        result.fork_ticks, result.margins = judged.fork_ticks, judged.margins
        result.beside = judged.beside
        result.vetoed += self.rules.vetoed
        result.second_opinions = judged.second_opinions
        every = sorted([*self.broken, *judged.violations], key=lambda v: v.row)
        first: dict[str, Found] = {}
        for item in every:
            result.violations[item.kind] += 1
            row = min(item.row, record.rows - 1)
            run = record.runs[record.run[row]] if item.kind != "exception" else None
            if item.kind not in first:
                chosen = run or self._run_of(item.row)
                first[item.kind] = Found(item, chosen, judged.deviation[row])
        result.found = list(first.values())
        return result

    def _run_of(self, row: int) -> Run:
        return next(run for run in reversed(self.record.runs) if run.first_row <= row)


def bind_name(limit: str, subject: str) -> str:
    """How a finding is counted: a volume, and a zone, each on its own."""
    named = limit in ("workspace", "zone_speed")
    return f"{limit}/{subject.rpartition('/')[2]}" if named else limit


def run_shard(bench: Bench, seed: int, index: int, steps: int) -> Shard:
    """Run and judge one shard."""
    return _Driver(bench, seed, index, steps).run()
