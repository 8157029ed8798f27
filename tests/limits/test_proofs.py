"""Lemmas of docs/GUARANTEE.md, proven by an SMT solver over the reals, for all values at once.

A lemma is proven if its negation is unsatisfiable. Each has twins that are wrong in one place and
for which the solver must find a counterexample, so that no proof is vacuous. Where a lemma is about
a kernel, the kernel's own source is run on symbols; what rounding adds is in test_rounding.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import z3
from tests.limits.slow_motion import random_motions
from tests.plain_kernels import python
from tests.robots import panda

from checkrein.limits import trial
from checkrein.limits.kernels import braking, motion, separation
from checkrein.limits.kernels.packed import JOINT_COLUMNS, PERIOD, POSITION_ERROR, PRISMATIC

TIMEOUT_MS = 20_000


def verdict(hypotheses: list[Any], claim: Any) -> str:
    """`proven`, `refuted` by a counterexample, or `unknown`."""
    solver = z3.Solver()
    solver.set("timeout", TIMEOUT_MS)
    solver.add(*hypotheses, z3.Not(claim))
    found = str(solver.check())
    return {"unsat": "proven", "sat": "refuted"}.get(found, found)


def reals(names: str) -> tuple[Any, ...]:
    return tuple(z3.Real(name) for name in names.split())


class TestBrakingLemma:
    """With v <= a·N·T and d >= v·N·T/2, a uniform brake of N ticks stops within d: after a tick of
    deceleration v/(N·T) the same holds for N - 1, and after N ticks v = 0 with d >= 0."""

    def judged(self, reach: Callable[..., Any], deceleration: Callable[..., Any]) -> str:
        a, T, N, v, d = reals("a T N v d")
        slower = v - deceleration(v, N, T) * T
        left = d - (v + slower) * T / 2
        before = [T > 0, a > 0, N >= 1, v >= 0, v <= a * N * T, d >= reach(v, N, T)]
        after = [slower >= 0, slower <= a * (N - 1) * T, left >= reach(slower, N - 1, T), left >= 0]
        return verdict(before, z3.And(*after))

    def test_one_tick_of_it_keeps_it(self) -> None:
        assert self.judged(lambda v, N, T: v * N * T / 2, lambda v, N, T: v / (N * T)) == "proven"

    def test_less_way_is_not_enough(self) -> None:
        shorter = self.judged(lambda v, N, T: v * (N - 1) * T / 2, lambda v, N, T: v / (N * T))
        assert shorter == "refuted"

    def test_nor_is_a_gentler_tick(self) -> None:
        gentler = self.judged(lambda v, N, T: v * N * T / 2, lambda v, N, T: v / ((N + 1) * T))
        assert gentler == "refuted"

    def test_it_begins_at_rest_and_ends_there(self) -> None:
        T, v = reals("T v")
        assert verdict([T > 0, v >= 0], v - v / (1 * T) * T == 0) == "proven"


def profile(
    v: Any, a: Any, n1: Any, n2: Any, n3: Any, T: Any, plateau_ticks: Any = None
) -> tuple[Any, ...]:
    """Jerks of the three phases, as kernels/braking.py has them (compared with it below)."""
    whole = n1 / 2.0 + n2 + n3 / 2.0 if plateau_ticks is None else plateau_ticks
    lost = v + a * n1 * T / 2.0
    plateau = -lost / (whole * T)
    return (plateau - a) / (n1 * T), 0.0, -plateau / (n3 * T)


def symbols(*shape: int) -> Any:
    """An array that kernels can write symbols to."""
    return np.full(shape, z3.RealVal(0), dtype=object)


def laid_out(ticks: Any, jerk: Any) -> tuple[Any, Any, Any, Any]:
    """(pieces, ends, start, ddq_next) of motion.build, run on symbols."""
    start, ddq_next, pieces, ends = symbols(1, 3), symbols(1), symbols(4, 1, 4), symbols(5)
    start[0] = reals("q dq ddq")
    ddq_next[0] = z3.Real("next")
    python(motion.build)(start, ddq_next, z3.Real("T"), ticks, jerk, pieces, ends)
    return pieces, ends, start, ddq_next


class TestRestIdentity:
    """The stop ends at dq = 0 and ddq = 0, exactly, whatever it begins with."""

    def judged(self, plateau_ticks: Callable[..., Any] | None = None) -> str:
        T, n1, n2, n3, v, a = reals("T n1 n2 n3 v a")
        whole = None if plateau_ticks is None else plateau_ticks(n1, n2, n3)
        jerk, ticks = symbols(1, 3), symbols(3)
        jerk[0] = profile(v, a, n1, n2, n3, T, whole)
        ticks[:] = n1, n2, n3
        pieces, _, _, _ = laid_out(ticks, jerk)
        # The stop begins where the tick ends: call that v and a.
        hypotheses = [T > 0, n1 >= 1, n2 >= 0, n3 >= 1, pieces[1, 0, 1] == v, pieces[1, 0, 2] == a]
        piece, t = pieces[3, 0], n3 * T
        dq_end = piece[1] + t * (piece[2] + t * piece[3] / 2)
        ddq_end = piece[2] + t * piece[3]
        return verdict(hypotheses, z3.And(dq_end == 0, ddq_end == 0))

    def test_over_the_reals(self) -> None:
        assert self.judged() == "proven"

    @pytest.mark.parametrize(
        "plateau_ticks", [lambda n1, n2, n3: n1 + n2 + n3, lambda n1, n2, n3: n1 / 2 + n2]
    )
    def test_another_plateau_does_not_rest(self, plateau_ticks: Callable[..., Any]) -> None:
        assert self.judged(plateau_ticks) == "refuted"

    def test_the_planner_computes_this_profile(self) -> None:
        """Bit for bit, for every joint of 200 random stops."""
        limits, compared = panda(), 0
        for planned in random_motions(limits, seed=7, count=200):
            T, (n1, n2, n3) = limits.period_s, planned.ticks.tolist()
            first = (planned.ddq_next - planned.start[:, 2]) / T
            dq = planned.start[:, 1] + planned.start[:, 2] * T + first * T**2 / 2.0
            if n1 == 0.0:
                continue
            for i in range(7):
                expected = profile(dq[i], planned.ddq_next[i], n1, n2, n3, T)
                np.testing.assert_allclose(planned.jerk[i], expected, rtol=1e-9, atol=1e-9)
                compared += 1
        assert compared > 1000


class TestPlayedIsCertified:
    """What is played, tick by tick, is the motion that was judged in four pieces."""

    def test_the_setpoint_is_the_end_of_the_piece_that_was_judged(self) -> None:
        pieces, _, start, ddq_next = laid_out(symbols(3), symbols(1, 3))
        packed, out = Scalars(z3.Real("T")), symbols(1, 3)
        python(trial._end_of_tick)(packed, start, ddq_next, out)
        same = [out[0, k] == pieces[1, 0, k] for k in range(3)]
        assert verdict([z3.Real("T") > 0], z3.And(*same)) == "proven"
        assert verdict([z3.Real("T") > 0], out[0, 0] == pieces[0, 0, 0]) == "refuted"

    @pytest.mark.parametrize("counts", [(1, 0, 1), (2, 1, 3), (3, 2, 1)])
    def test_the_ticks_of_a_stop_are_its_phases(self, counts: tuple[int, int, int]) -> None:
        """Played to the end: positions at each switch, and the position of rest, are the same."""
        T, v, a = z3.Real("T"), z3.Real("v"), z3.Real("a")
        n1, n2, n3 = (z3.RealVal(n) for n in counts)
        jerk, ticks = symbols(1, 3), symbols(3)
        jerk[0] = profile(v, a, n1, n2, n3, T)
        ticks[:] = n1, n2, n3
        pieces, _, _, _ = laid_out(ticks, jerk)
        piece, t = pieces[3, 0], n3 * T
        rest = piece[0] + t * (piece[1] + t * (piece[2] / 2 + t * piece[3] / 6))
        played, at = symbols(2, 6), []
        played[0, :3], played[0, 3:] = pieces[1, 0, :3], jerk[0]
        played[1] = [float(n) for n in counts] + [0.0] * 3
        for _ in range(sum(counts)):
            after = symbols(2, 6)
            python(braking.next_of_stop)(Scalars(T), played[:1, :3], played, after)
            played = after
            at.append(played[0, 0])
        hypotheses = [T > 0, pieces[1, 0, 1] == v, pieces[1, 0, 2] == a]
        claims = [at[-1] == rest, at[counts[0] - 1] == pieces[2, 0, 0]]
        assert verdict(hypotheses, z3.And(*claims)) == "proven"
        assert verdict(hypotheses, at[0] == rest) == "refuted"
        assert [float(n) for n in played[1, :3]] == [0.0, 0.0, 0.0]


class Scalars:
    """As much of `Packed` as the motion needs."""

    def __init__(self, period: Any) -> None:
        self.scalar = {PERIOD: period}


class TestExtrema:
    """A bound at the ends and at the root of the derivative is a bound everywhere between."""

    def judged(self, root_too: bool) -> str:
        v, a, j, h, t, bound, r = reals("v a j h t bound r")

        def speed(at: Any) -> Any:
            return v + a * at + j * at * at / 2

        def held(at: Any) -> Any:
            return z3.And(speed(at) <= bound, speed(at) >= -bound)

        # r is the root of ddq wherever it has one within.
        hypotheses = [h > 0, held(z3.RealVal(0)), held(h), t >= 0, t <= h, bound >= 0]
        if root_too:
            hypotheses.append(z3.Or(j == 0, z3.And(j * r == -a, z3.Or(r <= 0, r >= h, held(r)))))
        return verdict(hypotheses, held(t))

    def test_of_a_velocity(self) -> None:
        assert self.judged(root_too=True) == "proven"

    def test_the_ends_alone_are_not_enough(self) -> None:
        assert self.judged(root_too=False) == "refuted"

    def test_of_a_norm_by_bernstein_coefficients(self) -> None:
        """dq(t) is a mean of dq(0), dq(0) + ddq(0)·h/2 and dq(h), so no norm of it is larger than
        the largest of theirs (kinds/tcp_speed.py)."""
        v, a, j, h, s = reals("v a j h s")
        inside = [h > 0, s >= 0, s <= 1]
        end = v + a * h + j * h * h / 2
        weights = ((1 - s) * (1 - s), 2 * s * (1 - s), s * s)

        def mean(middle: Any) -> Any:
            return weights[0] * v + weights[1] * middle + weights[2] * end

        at = v + a * s * h + j * s * s * h * h / 2
        assert verdict(inside, mean(v + a * h / 2) == at) == "proven"
        assert verdict(inside, z3.And(*(w >= 0 for w in weights), sum(weights) == 1)) == "proven"
        assert verdict(inside, mean(v + a * h) == at) == "refuted"


class TestBulge:
    """What a function may do between two samples of it (kinds/joint_effort.py)."""

    def judged(self, share: float) -> str:
        """share: of the bulge that the kernel charges."""
        a, b, curve, s = reals("a b curve s")
        larger, rise = z3.If(a >= b, a, b), curve - z3.If(a >= b, a - b, b - a)
        bulge = z3.If(rise <= 0, 0, rise * rise / (4 * curve))
        at = a + (b - a) * s + curve * s * (1 - s)
        return verdict([curve > 0, s >= 0, s <= 1], at <= larger + share * bulge)

    def test_nothing_rises_further_above_the_larger_one(self) -> None:
        assert self.judged(1.0) == "proven"

    def test_and_no_less_is_enough(self) -> None:
        assert self.judged(0.99) == "refuted"


class TestSecondOrder:
    """The bend that kernels/separation.py charges is half the sum over all pairs of joints of
    |d_j|·|d_l| times the distance that the outer one's axis can be away."""

    def judged(self, share: float, slides: tuple[float, ...]) -> str:
        n = len(slides)
        joint, lever, moved = symbols(n, JOINT_COLUMNS), symbols(1, n), symbols(n)
        joint[:, PRISMATIC] = slides
        joint[:, POSITION_ERROR] = reals(" ".join(f"e{j}" for j in range(n)))
        lever[0], moved[:] = (reals(" ".join(f"{x}{j}" for j in range(n))) for x in "rm")
        packed = SimpleNamespace(joint=joint, capsule=np.array([[n - 1.0]]))
        bent = python(separation.bend)(
            packed, SimpleNamespace(swept=np.array([lever])), 0, -1, moved
        )
        d = [moved[j] + joint[j, POSITION_ERROR] for j in range(n)]
        away = [
            lever[0, j] + (0 if slides[j] else sum(lever[0, i] * d[i] for i in range(j + 1, n)))
            for j in range(n)
        ]
        pairs = itertools.product(range(n), repeat=2)
        whole = sum(share * d[j] * d[i] * away[max(j, i)] for j, i in pairs)
        positive = [value >= 0 for value in (*lever[0], *moved, *joint[:, POSITION_ERROR])]
        return verdict(positive, bent >= whole)

    @pytest.mark.parametrize("slides", [(0.0,) * 4, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
    def test_it_is_half_of_all_pairs(self, slides: tuple[float, ...]) -> None:
        assert self.judged(0.5, slides) == "proven"
        assert self.judged(0.51, slides) == "refuted"


class TestErrorsAdd:
    """The tracking check never stops a robot that is within its declared errors, and what passes
    it is within a known distance of the stream (kinds/tracking.py)."""

    def judged(self, noises: int) -> str:
        e, s, true, told, lagged, low, high = reals("e s true told lagged low high")

        def near(a: Any, b: Any, within: Any) -> Any:
            return z3.And(a - b <= within, b - a <= within)

        hypotheses = [e >= 0, s >= 0, low <= lagged, lagged <= high]
        hypotheses += [near(true, lagged, e + s), near(told, true, s)]
        slack = e + noises * s
        return verdict(hypotheses, z3.And(told - high <= slack, low - told <= slack))

    def test_twice_the_noise_is_enough(self) -> None:
        assert self.judged(2) == "proven"

    def test_and_no_less(self) -> None:
        assert self.judged(1) == "refuted"
