"""What can be wrong with an input that a person wrote; nothing here is raised once armed.

InputError(ValueError)          exit code 2 in every command
├── LimitsFileError             the limits file: syntax, schema, units, sources
├── FormatError                 a format newer or older than this release reads
├── RobotError                  the URDF, its meshes, the chain
├── FeasibilityError            well-formed limits that no motion satisfies
├── LooserLimitsError           limits for a running filter that are looser than those in force
├── UnknownChoiceError          a tool or payload that the limits do not declare
├── ModelFileError              the classifier's file: absent, truncated, another digest
└── MissingExtraError           an optional dependency is needed and absent
"""

from __future__ import annotations

__all__ = [
    "FeasibilityError",
    "FormatError",
    "InputError",
    "LimitsFileError",
    "LooserLimitsError",
    "MissingExtraError",
    "ModelFileError",
    "RobotError",
    "UnknownChoiceError",
]


class InputError(ValueError):
    """Input that a person can correct; the message says how."""


class LimitsFileError(InputError):
    """The limits file cannot be read as one."""


class FormatError(InputError):
    """The file's format is not the one that this release reads."""


class RobotError(InputError):
    """The robot's description cannot be used."""


class FeasibilityError(InputError):
    """The declared limits contradict each other or the robot."""


class LooserLimitsError(InputError):
    """Limits that would loosen those in force while the filter runs."""


class ModelFileError(InputError):
    """The classifier's file is not the declared one."""


class UnknownChoiceError(InputError):
    """A tool or a payload that the limits in force do not declare."""


class MissingExtraError(InputError):
    """An optional dependency is absent."""

    def __init__(self, purpose: str, extra: str, module: str) -> None:
        super().__init__(
            f"{purpose} needs {module!r}, which is not installed: pip install 'checkrein[{extra}]'"
        )
