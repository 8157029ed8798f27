"""Whether joints are pushed back and forth along volumes, and how these are followed until it ends.

What a volume makes of a command is not known beyond the next tick: around a corner the way along it
turns, and what is rejected in one tick is wanted again in the next. Answered at full jerk, that is
chatter. So a motion remembers how often, along volumes, jerk has turned of late. If too often,
joints speed up, and cease to brake, by a jerk that does not count as a turn, and by less with each
turn that comes nevertheless, until no more come than are forgotten. They brake as before.
Nothing here is trusted: the certificate judges what comes of it.
"""

from __future__ import annotations

from .jit import kernel
from .packed import ALONG, JERK, PERIOD, RECENT, TURNS, UPS, WALLS, Floats, Packed, Work
from .pursuit import HIGHEST, LOWEST, STEP, arriving

__all__ = [
    "APART_S",
    "AT_ONCE",
    "FORGET_S",
    "GENTLER",
    "GENTLY",
    "JOINTS_MAX",
    "TOO_MANY",
    "TURNS_MAX",
    "gently",
    "jerk_share",
    "recall",
    "remember",
]

# Jerk above this share of its bound counts; what is gentle stays below it.
STRONG, GENTLY = 0.1, 0.09
# Turns are forgotten with this time constant [s]; so many are too many, and no more are remembered:
# where that many stay, 3.6 a second come. With each one more, jerk is gentler by this factor.
FORGET_S, TOO_MANY, TURNS_MAX, GENTLER = 4.5, 4.0, 16.0, 0.7
# Turns within so long [s] of one that was counted are the same one, a stop that is left at once;
# but so many at most, for where jerk turns in every tick that is not a stop: the next is a new one.
APART_S, AT_ONCE = 0.03, 3
# A float holds so many bits: of joints beyond, turns do not count.
JOINTS_MAX = 52


@kernel
def recall(packed: Packed, stop: Floats, work: Work) -> None:
    """Read what the motion of the last tick (n + 1, 3 + m) remembers; nonsense is nothing.

    Its last row holds, behind the ticks of its m phases: the turns, less what is forgotten of them;
    the joints (bits) whose last strong jerk was upwards; for how long [s] turns do not count yet.
    """
    memory, n, spare = work.small[WALLS], stop.shape[0] - 1, stop.shape[1] - 3
    turns, ups = stop[n, spare] * (1.0 - packed.scalar[PERIOD] / FORGET_S), stop[n, spare + 1]
    memory[TURNS] = turns if 0.0 <= turns <= TURNS_MAX else 0.0
    memory[UPS] = ups if 0.0 <= ups < 2.0**JOINTS_MAX else 0.0
    memory[ALONG], recent = 0.0, stop[n, spare + 2] - packed.scalar[PERIOD]
    memory[RECENT] = recent if 0.0 < recent <= APART_S else 0.0


@kernel
def remember(packed: Packed, start: Floats, work: Work, out: Floats) -> None:
    """Write into the motion out (n + 1, 3 + m) what is to be remembered: see `recall`.

    What turns away from volumes does not count; joints that turn together, or at once after one
    another, are one turn.
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
        if memory[RECENT] > 0.0:
            memory[RECENT] -= APART_S / AT_ONCE
        else:
            turns, memory[RECENT] = min(TURNS_MAX, turns + 1.0), APART_S
    out[n, spare], out[n, spare + 1], out[n, spare + 2] = turns, float(ups), memory[RECENT]


@kernel
def jerk_share(work: Work) -> float:
    """The share of its jerk that a joint has along volumes: 1, or as of the turns recalled."""
    turns = work.small[WALLS, TURNS]
    return float(GENTLY * GENTLER ** (turns - TOO_MANY)) if turns >= TOO_MANY else 1.0


@kernel
def gently(row: Floats, dq: float, ddq: float, period: float, share: float) -> None:
    """Narrow a row of `ray` (STEP, LOWEST, HIGHEST) to a share of jerk, or what leads to rest."""
    soft, rest = share * row[STEP], arriving(dq, ddq, 0.0, row[STEP], period)
    row[STEP] = soft
    row[HIGHEST] = max(row[LOWEST], min(row[HIGHEST], max(ddq + soft, rest)))
    row[LOWEST] = min(row[HIGHEST], max(row[LOWEST], min(ddq - soft, rest)))
