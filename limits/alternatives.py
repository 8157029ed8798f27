"""Other tools and payloads: the file as it would be with each other choice that it declares.

Guarantees:
- A choice is a tool of the file with a payload of the file, or with none.
- A payload that hangs on a tool is a choice with that tool alone.
"""

from __future__ import annotations

from .errors import LimitsFileError
from .frozen_layout import VARIANTS_MAX
from .schema import LimitsFile, OtherToolModel, ToolModel

__all__ = ["other_files"]


def other_files(file: LimitsFile) -> list[LimitsFile]:
    """The file as it would be with every other choice of tool and payload."""
    if not file.tools and not file.payloads:
        return []
    tools: list[ToolModel | None] = [file.tool, *file.tools]
    named = {tool.name for tool in tools if tool is not None}
    out = []
    for tool in tools:
        own = None if tool is None else tool.name
        loads = [load for load in (file.payload, *file.payloads) if load is not None]
        fitting = [load for load in loads if load.parent not in named or load.parent == own]
        for payload in [*fitting, None]:
            if (tool, payload) == (file.tool, file.payload):
                continue
            changes: dict[str, object] = {"tool": tool, "payload": payload}
            if isinstance(tool, OtherToolModel):
                place = {"link": tool.name, "xyz": tool.tcp.xyz, "rpy": tool.tcp.rpy}
                changes["tcp"] = file.tcp.model_copy(update=place)
            elif tool is not file.tool:
                continue
            out.append(_without_absent(file.model_copy(update=changes), file))
    if len(out) > VARIANTS_MAX:
        raise LimitsFileError(
            f"tools, payloads: {len(out)} choices beside the file's own, at most {VARIANTS_MAX}"
        )
    return out


def _without_absent(chosen: LimitsFile, file: LimitsFile) -> LimitsFile:
    """Without pairs of self_collision.ignore that name a tool or payload that is not there."""
    bodies = (file.tool, file.payload, *file.tools, *file.payloads)
    every = {body.name for body in bodies if body is not None}
    absent = every - {b.name for b in (chosen.tool, chosen.payload) if b is not None}
    declared = chosen.self_collision
    if declared is None:
        return chosen
    kept = tuple(item for item in declared.ignore if not set(item.pair) & absent)
    return chosen.model_copy(
        update={"self_collision": declared.model_copy(update={"ignore": kept})}
    )
