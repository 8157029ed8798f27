"""What every test shares: one reproducible Hypothesis profile, and kernels that never raise."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from tests.plain_kernels import compute_as_compiled

# No deadline: the first example of a property may compile a kernel. Derandomised: a red gate must
# be red again on the next run; `checkrein fuzz` is where new seeds are tried.
settings.register_profile(
    "gate",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gate")

compute_as_compiled()
