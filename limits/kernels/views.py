"""Many arrays in one: a record of views, which kernels hand to each other as one pointer.

Numba hands an array on as seven numbers or more, so two records of thirty arrays make a call of
three hundred, and compiling such calls takes most of what compiling takes. Here the arrays lie
behind each other in one flat array, and its head says where.

Guarantees: the head is written where the record is made and never changes; `packed.joint` in a
kernel is a view of the same memory as `packed.joint` in Python.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, imputils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np import arrayobj

from .jit import COMPILES

__all__ = ["Sizes", "Views", "reader", "type_of"]

# What numba offers to those who extend it is not typed.
_arrays: Any = arrayobj
_code: Any = cgutils
_made: Any = imputils
_native: Any = NativeValue
_array: Any = types.Array

Floats = npt.NDArray[np.float64]
# Numbers in the head for each field: where it begins, and up to three sizes.
WORDS = 4
# Of each field the sizes, None for one that differs from robot to robot.
Sizes = dict[str, tuple[int | None, ...]]


class Views:
    """Named arrays that lie behind each other in `flat`, in the order of `FIELDS`."""

    FIELDS: ClassVar[Sizes] = {}

    def __init__(self, flat: Floats) -> None:
        """Look at what `of` made; nothing is copied."""
        self.flat = flat

    def __getattr__(self, name: str) -> Floats:
        """The view of a field, made when it is first asked for: a new cloud asks for none."""
        sizes = self.FIELDS.get(name)
        if sizes is None:
            raise AttributeError(f"{type(self).__name__} has no field '{name}'")
        first = WORDS * list(self.FIELDS).index(name)
        at, *known = self.flat[first : first + WORDS].view(np.int64).tolist()
        shape = known[: len(sizes)]
        view = self.flat[at : at + math.prod(shape)].reshape(shape)
        setattr(self, name, view)
        return view

    @classmethod
    def of(cls, **fields: Floats) -> Self:
        """Copies of these arrays, one for each field."""
        if tuple(fields) != tuple(cls.FIELDS):
            raise ValueError(f"{cls.__name__}: fields {tuple(fields)}, not {tuple(cls.FIELDS)}")
        head = np.zeros((len(fields), WORDS), np.int64)
        at = head.size
        for row, (name, values), sizes in zip(
            head, fields.items(), cls.FIELDS.values(), strict=True
        ):
            fits = values.ndim == len(sizes) and all(
                size in (None, own) for size, own in zip(sizes, values.shape, strict=True)
            )
            if not fits:
                raise ValueError(f"{cls.__name__}.{name}: shape {values.shape}, not {sizes}")
            row[0], row[1 : 1 + values.ndim] = at, values.shape
            at += values.size
        parts = [head.view(np.float64).ravel(), *(np.ravel(v) for v in fields.values())]
        return cls(np.concatenate(parts, dtype=np.float64))

    def fields(self) -> dict[str, Floats]:
        """The views by name."""
        return {name: getattr(self, name) for name in self.FIELDS}

    def copy(self) -> Self:
        """The same numbers in memory of its own."""
        return type(self)(self.flat.copy())

    def with_last(self, values: Floats) -> Self:
        """A copy with another row (m,) for the last field; quick, for what is new every tick."""
        words = WORDS * len(self.FIELDS)
        begin = int(self.flat[words - WORDS : words].view(np.int64)[0])
        flat = np.concatenate([self.flat[:begin], values])
        flat[words - WORDS : words].view(np.int64)[1] = values.size
        return type(self)(flat)


class _ViewsType(types.Type):
    """What numba calls a `Views`: a pointer to its flat array."""

    def __init__(self, views: type[Views]) -> None:
        self.views = views
        self.names = list(views.FIELDS)
        super().__init__(name=f"Views({views.__module__}.{views.__qualname__})")


@register_model(_ViewsType)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, manager: Any, described: Any) -> None:
        pointer = ir.DoubleType().as_pointer()
        super().__init__(manager, described, pointer)  # type: ignore[no-untyped-call]


@typeof_impl.register(Views)
def _typeof(value: Views, context: object) -> types.Type:
    return _ViewsType(type(value))


@unbox(_ViewsType)  # type: ignore[no-untyped-call]
def _unbox(described: Any, value: Any, c: Any) -> Any:
    """By way of `flat`, which the caller keeps alive."""
    flat = c.pyapi.object_getattr_string(value, "flat")
    array = _array(types.float64, 1, "C")
    native = c.unbox(array, flat)
    data = _arrays.make_array(array)(c.context, c.builder, native.value).data
    native.cleanup() if native.cleanup is not None else None
    c.pyapi.decref(flat)
    return _native(data, is_error=native.is_error)


@infer_getattr
class _Fields(AttributeTemplate):
    key = _ViewsType

    def generic_resolve(self, described: Any, name: str) -> Any:  # type: ignore[override]
        sizes = described.views.FIELDS.get(name)
        return None if sizes is None else _array(types.float64, len(sizes), "C")


@lower_getattr_generic(_ViewsType)  # type: ignore[no-untyped-call]
def _view(context: Any, builder: Any, described: Any, value: Any, name: str) -> Any:
    """The array that the head describes. The head never changes, and LLVM may know."""
    word, sizes = ir.IntType(64), described.views.FIELDS[name]
    head = builder.bitcast(value, word.as_pointer())
    first = WORDS * described.names.index(name)

    def read(place: int) -> Any:
        loaded = builder.load(builder.gep(head, [word(first + place)]))
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    array = _array(types.float64, len(sizes), "C")
    shape = [read(1 + i) if size is None else word(size) for i, size in enumerate(sizes)]
    strides: list[Any] = []
    step: Any = word(8)
    for size in reversed(shape):
        strides.insert(0, step)
        step = builder.mul(step, size)
    made = _arrays.make_array(array)(context, builder)
    _arrays.populate_array(
        made,
        data=builder.gep(value, [read(0)]),
        shape=_code.pack_array(builder, shape),
        strides=_code.pack_array(builder, strides),
        itemsize=context.get_constant(types.intp, 8),
        meminfo=None,
    )
    return _made.impl_ret_borrowed(context, builder, array, made._getvalue())


def reader(views: type[Views]) -> Any:
    """What makes a record of a flat array, in kernels and out of them."""
    if not COMPILES:
        return views
    described = _ViewsType(views)

    @intrinsic
    def read(typing: Any, flat: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _arrays.make_array(signature.args[0])(context, builder, arguments[0]).data

        return described(flat), lower

    return read


def type_of(views: type[Views]) -> Any:
    """What numba calls it."""
    return _ViewsType(views)
