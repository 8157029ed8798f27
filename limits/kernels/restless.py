"""Whether joints are pushed back and forth along volumes, and how these are followed until it ends.

What a volume makes of a command is not known beyond the next tick: around a corner the way along it
turns, and what is rejected in one tick is wanted again in the next. Answered at full jerk, that is
chatter. So a motion remembers how often, along volumes, jerk has turned of late. If too often,
joints speed up, and cease to brake, by a jerk that does not count as a turn; they brake as before.
Nothing here is trusted: the certificate judges what comes of it.
"""

from __future__ import annotations

from .jit import kernel
from .packed import ALONG, JERK, PERIOD, TURNS, UPS, WALLS, Floats, Packed, Work
from .pursuit import HIGHEST, LOWEST, STEP, arriving

__all__ = [
    "FORGET_S",
    "JOINTS_MAX",
    "TOO_MANY",
    "TURNS_MAX",
    "gently",
    "is_restless",
    "recall",
    "remember",
]

# Jerk above this share of its bound counts; what is gentle stays below it.
STRONG, GENTLY = 0.1, 0.09
# Turns are forgotten with this time constant [s]; so many are too many, and no more are remembered.
FORGET_S, TOO_MANY, TURNS_MAX = 4.0, 5.0, 7.0
# A float holds so many bits: of joints beyond, turns do not count.
JOINTS_MAX = 52


@kernel
def recall(packed: Packed, stop: Floats, work: Work) -> None:
    """Read what the motion of the last tick (n + 1, 3 + m) remembers; nonsense is nothing.

    Its last row holds, behind the ticks of its m phases: the turns, less what is forgotten of them;
    and the joints (bits) whose last strong jerk was upwards.
    """
    memory, n, spare = work.small[WALLS], stop.shape[0] - 1, stop.shape[1] - 3
    turns, ups = stop[n, spare] * (1.0 - packed.scalar[PERIOD] / FORGET_S), stop[n, spare + 1]
    memory[TURNS] = turns if 0.0 <= turns <= TURNS_MAX else 0.0
    memory[UPS] = ups if 0.0 <= ups < 2.0**JOINTS_MAX else 0.0
    memory[ALONG] = 0.0


@kernel
def remember(packed: Packed, start: Floats, work: Work, out: Floats) -> None:
    """Write into the motion out (n + 1, 3 + m) what is to be remembered: see `recall`.

    What turns away from volumes does not count; joints that turn together are one turn.
    """
    memory, n, spare = work.small[WALLS], start.shape[0], out.shape[1] - 3
    turns, ups, has_turned = memory[TURNS], int(memory[UPS]), False
    for i in range(min(n, JOINTS_MAX)):
        change = out[i, 2] - start[i, 2]
        is_strong = abs(change) > STRONG * packed.joint[i, JERK] * packed.scalar[PERIOD]
        if is_strong and (change > 0.0) != ((ups >> i) & 1 == 1):
            has_turned = True
            ups ^= 1 << i
    if has_turned and memory[ALONG] > 0.0:
        turns = min(TURNS_MAX, turns + 1.0)
    out[n, spare], out[n, spare + 1] = turns, float(ups)


@kernel
def is_restless(work: Work) -> bool:
    """Whether jerk has turned too often of late, as of what was recalled."""
    return bool(work.small[WALLS, TURNS] >= TOO_MANY)


@kernel
def gently(row: Floats, dq: float, ddq: float, period: float) -> None:
    """Narrow a row of `ray` (STEP, LOWEST, HIGHEST) to gentle jerk, or as much as leads to rest."""
    soft, rest = GENTLY * row[STEP], arriving(dq, ddq, 0.0, row[STEP], period)
    row[STEP] = soft
    row[HIGHEST] = max(row[LOWEST], min(row[HIGHEST], max(ddq + soft, rest)))
    row[LOWEST] = min(row[HIGHEST], max(row[LOWEST], min(ddq - soft, rest)))
