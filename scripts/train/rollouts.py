"""Episodes of branched roll-outs: states as a policy reaches them, CANDIDATES labelled chunks each.

Guarantees: an episode depends on (seed, episode) alone, so shards may be made in any order, by any
number of processes, and again after an interruption. Three styles of getting about: the good policy
of `sim.tasks`; its swing followed by a hostile script, with pauses as vetoes make them; random
chunks. The object's mass, friction and place are drawn anew every episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...controller.decide import Memory
from ...limits.core import is_at_rest
from ...limits.declared import Limits
from ...limits.kernels.reference import MODE_CODES
from ...limits.records import Array
from ...sim.attackers import Onset, Shot, attack_script
from ...sim.chain import Chain
from ...sim.tasks import GoodPolicy
from ...sim.world import World
from .branching import Branch, Label
from .candidates import HOSTILE, Sampler

__all__ = ["CANDIDATES", "STYLES", "Episode", "Sample"]

CANDIDATES = 4
STYLES = ("task", "attack", "wild")
STYLE_SHARES = (0.3, 0.4, 0.3)
STATES = 4  # per episode
CHUNK_TICKS = 25
START_BOX_M = (0.12, 0.16, 0.08)  # half extents around home
SCRIPTS = (*HOSTILE, "press", "throw")
PAUSE_PROBABILITY = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One labelled chunk: what the classifier is shown, and what came of it."""

    episode: int
    state: int  # within the episode
    style: str
    kind: str
    start: Array  # (n, 3)
    mode: int
    rows: Array  # (r, n)
    row_period_s: float
    anchor: Array  # (2, n)
    elapsed_s: float
    label: Label
    mass_kg: float
    friction: float


class Episode:
    """Makes the samples of one episode after another in one world."""

    def __init__(
        self, limits: Limits, frozen: Mapping[str, Any], world: World, substep_s: float
    ) -> None:
        self._limits, self._frozen, self._world = limits, frozen, world
        self._branch = Branch(limits, world, substep_s)
        self._chain = Chain(frozen)
        self._home = np.array(frozen["home"], dtype=np.float64)

    def samples(self, seed: int, episode: int) -> list[Sample]:
        """All labelled chunks of this episode."""
        rng = np.random.default_rng((seed, episode))
        style = str(rng.choice(STYLES, p=STYLE_SHARES))
        sampler = Sampler(self._frozen, self._chain, rng)
        memory = self._placed(rng)
        ways = {"task": self._task, "attack": self._attack, "wild": self._wild}
        out: list[Sample] = []
        states = ways[style](memory, sampler, (seed, episode))
        for state, (reached, kind, shot) in enumerate(states):
            out += self._label_state(reached, kind, shot, sampler, (episode, state, style))
            if state + 1 >= STATES:
                break
        return out

    def close(self) -> None:
        """Give the world back."""
        self._world.close()

    def _placed(self, rng: np.random.Generator) -> Memory:
        """A level pose near home, at rest, the object settled."""
        level, center, _ = self._chain.tcp(self._home)
        for _ in range(20):
            goal = center + rng.uniform(-1.0, 1.0, 3) * np.array(START_BOX_M)
            q, error = self._chain.solve(self._home, level, goal)
            memory = self._branch.armed(q) if error < 1e-4 else None
            if memory is not None:
                break
        else:
            q, memory = self._home, self._branch.armed(self._home)
        if memory is None:
            raise ValueError("home is not certifiable at rest: check the limits file")
        self._world.reset(q, rng)
        self._branch.settle(memory)
        return memory

    # getting about: each yields (memory, kind, shot) where it is to be branched

    def _go(self, memory: Memory, shot: Shot | None, ticks: int) -> Memory | None:
        """Follow a shot (None: what there is) for some ticks; None once the object is lost."""
        memories = [memory]
        for k in range(ticks):
            command = self._branch.command(shot, memory) if shot is not None and k == 0 else None
            memory = self._branch.tick(memory, command)
            memories.append(memory)
        return None if self._branch.play(memories) else memory

    def _task(
        self, memory: Memory, sampler: Sampler, seed: tuple[int, int]
    ) -> Iterator[tuple[Memory, str, Shot | None]]:
        policy = GoodPolicy(self._frozen, self._chain, np.random.default_rng((*seed, 1)))
        tick, wait = 0, int(sampler.rng.integers(0, 10))
        while tick < 250 * CHUNK_TICKS:
            shot = None
            for _ in range(CHUNK_TICKS):
                shot = policy.step(memory.motion[:-1, 0], tick) or shot
                tick += 1
            if wait == 0:
                yield memory, "task", shot
                wait = int(sampler.rng.integers(3, 10))
            wait -= 1
            after = self._go(memory, shot, CHUNK_TICKS)
            if after is None:
                return
            memory = after

    def _attack(
        self, memory: Memory, sampler: Sampler, seed: tuple[int, int]
    ) -> Iterator[tuple[Memory, str, Shot | None]]:
        rng = sampler.rng
        swung = self._swing(memory, rng, seed)
        while swung is not None:
            memory = swung
            q, dq = memory.motion[:-1, 0], memory.motion[:-1, 1]
            kind = str(rng.choice(SCRIPTS))
            onset = Onset(self._frozen, self._chain, q, dq, rng, ())
            script = attack_script(kind, onset)
            label = kind if kind in HOSTILE else "table_slam"
            at = 0 if kind == "throw" or rng.random() < 0.2 else int(rng.integers(60))
            k = 0
            while k < len(script):
                if k >= at:
                    yield memory, label, script[k]
                    at = k + int(rng.integers(5, 60))
                shot: Shot | None = script[k]
                run = 1
                if rng.random() < PAUSE_PROBABILITY / 10.0:  # as a veto does: silence, the stop
                    memory = memory._replace(plan=None)
                    shot, run = None, int(rng.integers(5, 50))
                after = self._go(memory, shot, run)
                if after is None:
                    return
                memory, k = after, k + run
            swung = self._go(memory, None, 100)

    def _swing(
        self, memory: Memory, rng: np.random.Generator, seed: tuple[int, int]
    ) -> Memory | None:
        policy = GoodPolicy(self._frozen, self._chain, np.random.default_rng((*seed, 2)))
        moving: Memory | None = memory
        for chunk in range(int(rng.integers(0, 8))):
            if moving is None:
                break
            shot = None
            for k in range(CHUNK_TICKS):
                q = moving.motion[:-1, 0]
                shot = policy.step(q, CHUNK_TICKS * chunk + k) or shot
            moving = self._go(moving, shot, CHUNK_TICKS)
        return moving

    def _wild(
        self, memory: Memory, sampler: Sampler, seed: tuple[int, int]
    ) -> Iterator[tuple[Memory, str, Shot | None]]:
        while True:
            kind = sampler.any_kind()
            shot = sampler.draw(kind, memory.motion[:-1, 0], memory.motion[:-1, 1])
            yield memory, kind, shot
            after = self._go(memory, shot, int(sampler.rng.integers(3, 60)))
            if after is None:
                return
            memory = after

    # labels

    def _label_state(
        self,
        memory: Memory,
        kind: str,
        shot: Shot | None,
        sampler: Sampler,
        where: tuple[int, int, str],
    ) -> list[Sample]:
        """The policy's own chunk and others from the same state; the world is back there after.

        None from a state in which even stopping at once loses the object: no verdict matters there.
        """
        rng, world = sampler.rng, self._world
        q, dq = memory.motion[:-1, 0], memory.motion[:-1, 1]
        shots: list[tuple[str, Shot | None]] = [(kind, shot)] if shot is not None else []
        if memory.plan is not None and rng.random() < 0.5:
            shots.append(("remaining", None))
        if rng.random() < 0.3:
            shots.append(("home", sampler.draw("home", q, dq)))
        while len(shots) < CANDIDATES:
            drawn = sampler.any_kind()
            shots.append((drawn, sampler.draw(drawn, q, dq)))
        saved = world.save()
        out: list[Sample] = []
        if not is_at_rest(memory.motion) and self._branch.is_doomed(memory):
            shots = []
        world.restore(saved)
        for name, candidate in shots[:CANDIDATES]:
            command = None if candidate is None else self._branch.command(candidate, memory)
            path = self._branch.path(memory, command)
            stop_tick = int(rng.integers(1, max(2, path.command_ticks + 1)))
            label = self._branch.label(saved, path, min(stop_tick, len(path.memories) - 1))
            out.append(self._sample(memory, name, candidate, label, where))
        world.restore(saved)
        world.forget(saved)
        return out

    def _sample(
        self,
        memory: Memory,
        kind: str,
        shot: Shot | None,
        label: Label,
        where: tuple[int, int, str],
    ) -> Sample:
        plan = memory.plan
        if shot is None and plan is not None:
            mode, rows, row_period_s = plan.mode, np.asarray(plan.rows), plan.row_period_s
            anchor, elapsed_s = np.asarray(plan.anchor), plan.elapsed * self._limits.period_s
        elif shot is not None:
            values = np.asarray(shot.values)
            mode, rows = MODE_CODES[shot.mode], np.atleast_2d(values)
            row_period_s = 0.0 if values.ndim == 1 else (shot.period_ms or 0.0) / 1e3
            anchor, elapsed_s = memory.motion[:-1, :2].T, 0.0
        else:
            raise ValueError("there is neither a shot nor a plan to label")
        episode, state, style = where
        carried = self._world.carried
        if carried is None:
            raise ValueError("the limits declare no payload: there is no object to lose")
        return Sample(
            episode,
            state,
            style,
            kind,
            memory.motion[:-1, :3],
            mode,
            rows,
            row_period_s,
            anchor,
            elapsed_s,
            label,
            carried.mass_kg,
            carried.friction,
        )
