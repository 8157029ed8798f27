"""How every kernel is compiled: strict IEEE arithmetic, no exceptions, a cache that cannot lie.

A `kernel` is called by other kernels, an `entry` by Python, at every tick. Numba makes all that a
kernel calls part of it, so that LLVM optimises the innermost again at every level of calls; what is
`apart` is compiled once, and called by its address. Small kernels had better not be: a call costs.

Guarantees:
- `fastmath` is off and division by zero gives inf or NaN, never an exception.
- A kernel cannot allocate: numba's run-time memory is off (`_nrt`), so one that would does not
  compile. It also need not count references, which was a quarter of a decision's time.
- numba's own cache does not notice an edited callee in another file, and its index is a pickle.
  So the cache folder's name is a digest of all kernel sources, the numba, llvmlite and numpy
  versions and the CPU, and the folder must belong to this user and be closed to all others;
  where it cannot be made so, nothing is cached and compiling is merely slower.
"""

from __future__ import annotations

import copy
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba.core.registry import CPUDispatcher

__all__ = [
    "COMPILES",
    "apart",
    "cache_folder",
    "entry",
    "inlined",
    "kernel",
    "ready",
    "seal",
    "sealed",
]

# Plain Python functions otherwise: NUMBA_DISABLE_JIT.
COMPILES = not cast(Any, numba.config).DISABLE_JIT

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": False,
    "error_model": "numpy",
    "_nrt": False,
}

_LIMITS = Path(__file__).resolve().parent.parent
_SOURCES = (
    *_LIMITS.glob("kernels/*.py"),
    *_LIMITS.glob("kinds/*.py"),
    *(
        _LIMITS / name
        for name in (
            "batch_calls.py",
            "calls.py",
            "certify.py",
            "project.py",
            "tick.py",
            "tool_speed.py",
            "trial.py",
        )
    ),
    _LIMITS.parent / "models" / "features.py",
)


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in _SOURCES if path.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (numba.__version__, llvmlite.__version__, np.__version__)
    config: Any = numba.config
    host = (llvmlite.binding.get_host_cpu_name(), str(config.BOUNDSCHECK))
    digest.update("\0".join((*versions, *host)).encode())
    return digest.hexdigest()[:32]


def cache_folder() -> Path | None:
    """The owner-only folder for compiled kernels, or None where there can be none."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "checkrein" / f"kernels-{_digest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        seen = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(seen.st_mode) & 0o077 or not os.access(folder, os.W_OK):
        return None
    return folder


_FOLDER = cache_folder()


def _compiled(function: F, **options: Any) -> F:
    """Compile `function` on first use, into the cache folder if there is a trustworthy one."""
    config: Any = numba.config  # its attributes are made at run time
    before = config.CACHE_DIR
    try:
        if _FOLDER is not None:
            config.CACHE_DIR = str(_FOLDER)  # read by numba while it decorates
        compiled = numba.njit(cache=_FOLDER is not None, **_OPTIONS, **options)(function)
    finally:
        config.CACHE_DIR = before
    return cast(F, compiled)


class _Kernel(CPUDispatcher):
    """Has all code that its own calls by address in memory before it is compiled or read."""

    def compile(self, sig: Any) -> Any:
        for callee in _apart_below(self.py_func, set()):
            callee.compile()
        return super().compile(sig)


class _Inner(_Kernel):
    """Has nothing that Python could call; where it does so all the same, by way of a small entry.

    Numba itself would jump to address 0 then.
    """

    def add_overload(self, result: Any) -> None:
        self.overloads[tuple(result.signature.args)] = result  # and nothing for Python to find

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        if not hasattr(self, "called"):  # not cached: in the cache all of them would be the same

            def called(*args: Any) -> Any:
                return self(*args)

            self.called = numba.njit(**_OPTIONS)(called)
        return self.called  # which numba then calls


class _Apart(_Inner):
    """Compiled once, for the declared types; callers know its name and where it lies."""

    types: tuple[Any, ...]

    def compile(self, sig: Any = None) -> Any:
        """For the declared types; what does not convert to them does not compile."""
        return super().compile(self.types)

    def add_overload(self, result: Any) -> None:
        super().add_overload(result)
        # Numba's own name for it differs from process to process, and cached callers know it.
        described, types = copy.copy(result.fndesc), str(result.signature)
        digest = hashlib.sha256(types.encode()).hexdigest()[:16]
        described.mangled_name = f"{self.py_func.__module__}.{self.py_func.__qualname__}.{digest}"
        address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
        llvmlite.binding.add_symbol(described.mangled_name, address)
        # Replaces what numba registered, which would link all of its code into every caller.
        cast(Any, self.targetctx).insert_user_function(result.entry_point, described, [])


def _apart_below(function: Any, seen: set[Any]) -> Iterator[_Apart]:
    """What a function calls by address, itself or in what becomes part of it."""
    for name in function.__code__.co_names:
        callee = function.__globals__.get(name)
        if isinstance(callee, _Apart):
            yield callee
        elif isinstance(callee, CPUDispatcher) and callee not in seen:
            seen.add(callee)
            yield from _apart_below(callee.py_func, seen)


def kernel(function: F) -> F:
    """A function for other kernels to call. A call by Python works, and is slow."""
    compiled = _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    if COMPILES:
        cast(Any, compiled).__class__ = _Inner
    return compiled


def apart(*types: Any) -> Callable[[F], F]:
    """A kernel that is compiled once, not once more in each of its callers; types of arguments."""

    def compiled(function: F) -> F:
        made: Any = kernel(function)
        if COMPILES:
            made.__class__, made.types = _Apart, types
        return cast(F, made)

    return compiled


def entry(function: F) -> F:
    """A function for Python to call, and for kernels."""
    compiled = _compiled(function, no_cfunc_wrapper=True)
    if COMPILES:
        cast(Any, compiled).__class__ = _Kernel
    return compiled


def inlined(function: F) -> F:
    """A function that becomes part of the kernels that call it."""
    return cast(F, numba.njit(inline="always", **_OPTIONS)(function))


def ready(function: Callable[..., Any]) -> None:
    """Compile what is `apart`, or read it from the cache."""
    cast(Any, function).compile()


def seal(function: Callable[..., Any]) -> None:
    """Compile `function` for no further types: what does not fit is an error, not a long wait."""
    disable = getattr(function, "disable_compile", None)
    if disable is not None:  # absent where NUMBA_DISABLE_JIT leaves plain functions
        disable()


def sealed(function: F) -> F:
    """Seal an entry and return its machine code, to be called without a look at types.

    Numba looks at the type of every argument to find the code that fits: half of what a call costs.
    Only for callers whose every argument is of the types that it was compiled for, by construction.
    Raises RuntimeError if it was not compiled for exactly one list of types.
    """
    if not COMPILES:
        return function
    made = [one.entry_point for one in cast(Any, function).overloads.values()]
    if len(made) != 1:
        name = cast(Any, function).py_func.__name__
        raise RuntimeError(f"{name} was compiled for {len(made)} lists of types: expected one")
    seal(function)
    return cast(F, made[0])
