"""Limits that look around: a random section `perception` for those that declare none.

Guarantees: a function of the generator alone; what comes out is a frozen document of its own, with
a digest of its own, so that the filter and the oracle read the same file.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from ...limits.canonical import canonical_bytes
from .limits_source import LimitsSource

__all__ = ["declare_perception", "with_perception"]

POINTS = 64
REQUIRED_SHARE, EXEMPT_SHARE = 0.5, 0.2


def declare_perception(document: dict[str, Any], rng: np.random.Generator) -> None:
    """Put the section into a frozen document."""
    period_ms = 1e3 * document["period_s"]
    exempt = rng.random() < EXEMPT_SHARE and len(document["capsules"]) > 1
    document["perception"] = {
        "max_points": POINTS,
        "max_speed": round(float(np.exp(rng.uniform(np.log(0.02), np.log(1.5)))), 6),
        "latency_ms": round(period_ms * float(rng.uniform(0.0, 4.0)), 6),
        "max_age_ms": round(period_ms * float(rng.uniform(3.0, 25.0)), 6),
        "standoff": round(float(rng.choice([0.0, 0.003, 0.01])), 6),
        "required": bool(rng.random() < REQUIRED_SHARE),
        "exempt": [document["capsules"][0]["name"]] if exempt else [],
    }
    document["on_violation"]["obstacles"] = "refuse" if rng.random() < 0.05 else "clamp"


def with_perception(source: LimitsSource, seed: int) -> LimitsSource:
    """The same limits, looking around; as they are where they do so already."""
    document = json.loads(source.raw)
    if "perception" not in document:
        declare_perception(document, np.random.default_rng([seed, 1]))
    raw = canonical_bytes(document)
    sha256 = hashlib.sha256(raw).hexdigest()
    return LimitsSource(source.argument, source.path, raw, sha256)
