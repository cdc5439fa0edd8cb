"""Compilation of functions, and calls of compiled operations by address."""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

from sknn_notes import _compile

# _math is imported for numba, which does not see functions that are registered while it
# compiles their callers.
from sknn_notes._compile import HELPERS, Active, Memory, _math  # noqa: F401
from sknn_notes._compile._cache import DiskCache, locked
from sknn_notes._compile._functions import first_of, functions_of

# No full fastmath: it assumes that NaN and infinity don't occur, which would break the
# checks for them. Never parallel: threads of two libraries would compete for the cores.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
# For functions that are only called by compiled ones; halves the compilation time.
INSIDE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Callable, **changes) -> Callable:
    """Compile a function in its first call, and cache the code on disk if possible."""
    dispatcher = njit(**OPTIONS | changes)(function)
    dispatcher._cache = DiskCache(_name(function))
    return dispatcher


def compiled_exactly(function: Callable) -> Callable:
    """Compile a function whose order of operations must not change."""
    return compiled(function, fastmath=False)


def _name(function):
    return f"{function.__module__.partition('.')[2]}.{function.__qualname__}"


# Operations.

_addresses: dict[tuple, int] = {}
_registered: set[Callable] = set()


def address(function, loops, dtype, active=False):
    """See ``sknn_notes._compile.address``."""
    key = _key(function, loops, dtype)
    function, loops, _ = key
    if key not in _addresses:
        for loop in loops:
            if not isinstance(loop, FunctionType):
                raise TypeError(
                    f"{loop!r} is not a plain function. Define the loops of a part as "
                    "static methods."
                )
        _register_helpers(function, *loops)
        dispatcher, signature = _dispatcher(*key), _signature(dtype, active)
        try:
            if is_kept(function, loops, dtype, active):
                dispatcher.compile(signature)
            else:
                with locked():
                    dispatcher.compile(signature)
        except Exception as error:
            names = ", ".join(loop.__qualname__ for loop in loops or (function,))
            raise TypeError(
                f"Numba can't compile {names}. {_remedy(function, *loops)} {error}"
            ) from error
        code = dispatcher.overloads[signature.args]
        name = code.fndesc.llvm_func_name
        _addresses[key] = code.library.get_pointer_to_function(name)
    return _addresses[key]


def _remedy(*functions):
    """Say what to do about functions that numba can't compile."""
    if all(map(_is_ours, functions)):
        return (
            f"Its version {numba.__version__} does not fit. Install another one, or "
            "set SKNN_NOTES_KERNELS=numpy to compile nothing."
        )
    return "Correct these loops, or remove them to train the part by its definition."


def _is_ours(function):
    return function.__module__.partition(".")[0] == "sknn_notes"


def _key(function, loops, dtype):
    return first_of(function), tuple(map(first_of, loops)), dtype


def _register_helpers(*functions):
    """Register the helpers with numba, also those from another process."""
    helpers: list[Callable] = [
        function
        for function in functions_of(*functions)
        if hasattr(function, "is_helper")
    ]
    while HELPERS:
        helpers.append(HELPERS.pop())
    for function in helpers:
        if function not in _registered:
            register_jitable(**OPTIONS)(function)
            _registered.add(function)


def n_operations() -> int:
    """Return the number of operations that this process has compiled or loaded."""
    return len(_addresses)


def is_kept(function, loops, dtype, active=False):
    """Tell whether an operation is compiled already, or cached on disk."""
    key = _key(function, loops, dtype)
    if key in _addresses:
        return True
    dispatcher = _dispatcher(*key)
    codegen = dispatcher.targetctx.codegen()
    cache = dispatcher._cache
    signature = _signature(dtype, active)
    return isinstance(cache, DiskCache) and cache.holds(signature, codegen)


@cache
def _dispatcher(function, loops, dtype):
    """Return the dispatcher of an operation. Equal functions must be identical."""
    made = function(*map(_loop, loops)) if loops else function
    dispatcher = njit(**OPTIONS, **INSIDE)(made)
    # The digest of the sources covers only functions of this library.
    if all(map(_is_ours, (function, *loops))):
        dispatcher._cache = DiskCache("+".join(map(_name, (function, *loops))))
    return dispatcher


@cache
def _loop(function):
    return njit(**OPTIONS, **INSIDE, forceinline=True)(function)


def _signature(dtype, active=False):
    floats = types.Array(numba.from_dtype(dtype), 1, "C")
    integers = types.Array(types.int64, 1, "C")
    numbers = types.Array(types.float64, 1, "C")
    others = {
        "classes": integers,
        "entries": integers,
        "bits": types.Array(types.uint32, 1, "C"),
        "marks": integers,
        "at": integers,
        "addresses": integers,
        "ledger": numbers,
    }
    memory, rows = (
        types.NamedTuple([others.get(name, floats) for name in kind._fields], kind)
        for kind in (Memory, Active)
    )
    if active:
        return types.float64(rows, memory, numbers, types.int64, types.int64)
    return types.float64(
        memory, integers, numbers, types.int64, types.uint64, types.int64
    )


@intrinsic
def _call(typing_context, address, memory, at, numbers, n, key, t):
    """Call the operation at an address."""
    return _caller(address, memory, at, numbers, n, key, t)


@intrinsic
def _call_active_at(typing_context, address, rows, memory, numbers, n, t):
    """Call the operation on active rows at an address."""
    return _caller(address, rows, memory, numbers, n, t)


# numba's types of intrinsics are those of their callers.
_call_active: Any = _call_active_at


def _caller(address, *argument_types):
    signature = types.float64(address, *argument_types)

    def generate(context, builder, signature, arguments):
        convention = context.call_conv
        kind = convention.get_function_type(types.float64, argument_types)
        pointer = builder.inttoptr(arguments[0], kind.as_pointer())
        status, result = convention.call_function(
            builder, pointer, types.float64, argument_types, arguments[1:]
        )
        # An exception in loops ends the call.
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return signature, generate


@intrinsic
def _prefetch(typing_context, array, place):
    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        pointer = builder.gep(data, [arguments[1]])
        pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        integer, name = ir.IntType(32), "llvm.prefetch.p0"
        types_ = [pointer.type, integer, integer, integer]
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), types_), name
        )
        # For reading, with high locality, data cache.
        builder.call(function, [pointer, integer(0), integer(3), integer(1)])
        return context.get_dummy_value()

    return types.void(array, place), generate


@overload(_compile.prefetch)
def _prefetched(array, place):
    return lambda array, place: _prefetch(array, place)  # type: ignore[call-arg]


@overload(_compile.cast)
def _cast(number, like):
    kind = getattr(like, "dtype", like)
    return lambda number, like: kind(number)


@compiled
def run_steps(tape, numbers, memory, n_features, edges, keys, t):
    """Make one step for each batch.

    Parameters
    ----------
    tape : Tape
        The operations, those of the objective first.
    numbers : ndarray of shape (n_steps, n_numbers) or (1, n_numbers)
        Numbers of all operations; one row per step, or one row for all steps.
    memory : Memory
        With the rows of all batches, one batch after the other.
    n_features : int
    edges : ndarray of shape (n_steps + 1,)
        Batch ``i`` is the rows from ``edges[i]`` to ``edges[i + 1]``.
    keys : ndarray of shape (n_steps, n_keys)
        Keys of the random operations.
    t : int
        Number of previous steps.

    Returns
    -------
    total : float
        The sum of the objectives of the batches, each times its number of rows. If an
        objective is not finite, it is returned, and no further steps are made.
    """
    total = 0.0
    n_targets = len(memory.targets) // max(1, edges[-1])
    for step in range(len(edges) - 1):
        first, last = edges[step], edges[step + 1]
        n = last - first
        x, entries = _inputs(memory, n_features, first, last, edges[-1])
        batch = Memory(
            x,
            memory.targets[first * n_targets : last * n_targets],
            memory.classes[first:last],
            memory.weights[first:last],
            memory.work,
            memory.bits,
            memory.theta,
            memory.grad,
            memory.running,
            memory.first,
            memory.second,
            entries,
        )
        row = numbers[min(step, len(numbers) - 1)]
        value = _run_step(tape, row, batch, n, keys[step], t + step + 1)
        if not np.isfinite(value):
            return value
        total += value * n
    return total


@compiled
def run_active_steps(
    tape, numbers, memory, active, n_features, n_own, n_shared, edges, keys, t
):
    """Make one step for each batch, on the rows of large matrices that are active.

    ``memory`` contains parameters and gradient of the compact network, with room for
    the maximum of active rows. ``n_own`` is the number of chosen outputs per sample,
    ``n_shared`` that of the outputs that all samples of a batch share. The other
    parameters are those of ``run_steps``.
    """
    total = 0.0
    n_numbers = tape.number_edges[-1]
    for step in range(len(edges) - 1):
        first, last = edges[step], edges[step + 1]
        n = last - first
        x, entries = _inputs(memory, n_features, first, last, edges[-1])
        classes, targets = memory.classes[first:last], memory.targets
        if n_own > 0:
            begin = first * n_own + step * n_shared
            end = last * n_own + (step + 1) * n_shared
            classes, targets = memory.classes[begin:end], memory.targets[begin:end]
        else:
            width = len(targets) // max(1, edges[-1])
            targets = targets[first * width : last * width]
        row = numbers[min(step, len(numbers) - 1)]
        # First all parameters, then those in use.
        used = len(memory.theta)
        for phase in range(2):
            batch = Memory(
                x,
                targets,
                classes,
                memory.weights[first:last],
                memory.work,
                memory.bits,
                memory.theta[:used],
                memory.grad[:used],
                memory.running,
                memory.first[:used],
                memory.second[:used],
                entries,
            )
            if phase == 0:
                used = int(
                    _call_active(
                        active.addresses[0],
                        active,
                        batch,
                        row[n_numbers:],
                        n,
                        t + step + 1,
                    )
                )
        value = _run_step(tape, row, batch, n, keys[step], t + step + 1)
        if not np.isfinite(value):
            return value
        value += _call_active(
            active.addresses[1], active, batch, row[n_numbers:], n, t + step + 1
        )
        if active.marks[0] == active.at[5]:
            value += _call_active(
                active.addresses[2], active, batch, row[n_numbers:], n, t + step + 1
            )
        total += value * n
    return total


@compiled
def run_active_operation(active, memory, numbers, i, t):
    """Call one of the operations on active rows."""
    return _call_active(active.addresses[i], active, memory, numbers, 0, t)


@register_jitable(**OPTIONS)
def _inputs(memory, n_features, first, last, n_rows):
    """Return the inputs of some rows, and the positions of their entries."""
    entries = memory.entries
    if len(entries) == 0:
        return memory.x[first * n_features : last * n_features], entries
    start = entries[first] + first - n_rows - 1
    stop = entries[last] + last - n_rows - 1
    return memory.x[start:stop], entries[first:]


@register_jitable(**OPTIONS)
def _run_step(tape, numbers, memory, n, keys, t):
    """Call all operations, unless the objective is not finite; return it."""
    value = 0.0
    for i in range(len(tape.addresses)):
        if i == tape.n_objective and not np.isfinite(value):
            return value
        value += _call(  # type: ignore[call-arg]
            tape.addresses[i],
            memory,
            tape.at[tape.at_edges[i] : tape.at_edges[i + 1]],
            numbers[tape.number_edges[i] : tape.number_edges[i + 1]],
            n,
            keys[tape.keys[i]] if tape.keys[i] >= 0 else np.uint64(0),
            t,
        )
    return value
