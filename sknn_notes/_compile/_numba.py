"""How functions are compiled, and how compiled operations are called by address."""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import NumbaError
from numba.extending import intrinsic, overload, register_jitable

from sknn_notes import _compile

# _math is imported for numba, which does not see functions that are made known to it
# while it compiles what calls them.
from sknn_notes._compile import HELPERS, Memory, _math  # noqa: F401
from sknn_notes._compile._cache import DiskCache, locked
from sknn_notes._compile._functions import first_of, functions_of

# No full fastmath: it assumes that NaN and infinity don't occur, and so would blind
# the checks for them. Never parallel: threads of two libraries fight for the cores.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
# Of functions that only compiled ones call; they compile in half the time.
INSIDE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Callable, **changes) -> Callable:
    """Compile a function at its first call, and keep the result on disk if possible."""
    dispatcher = njit(**OPTIONS | changes)(function)
    dispatcher._cache = DiskCache(_name(function))
    return dispatcher


def compiled_exactly(function: Callable) -> Callable:
    """Compile a function whose order of operations matters to the last place."""
    return compiled(function, fastmath=False)


def _name(function):
    return f"{function.__module__.partition('.')[2]}.{function.__qualname__}"


# Operations.

_addresses: dict[tuple, int] = {}
_registered: set[Callable] = set()


def address(function, loops, dtype):
    """See ``sknn_notes._compile.address``."""
    key = _key(function, loops, dtype)
    function, loops, _ = key
    if key not in _addresses:
        for loop in loops:
            if not isinstance(loop, FunctionType):
                raise TypeError(
                    f"{loop!r} is no plain function. Define the loops of a part as "
                    "static methods."
                )
        _register_helpers(function, *loops)
        dispatcher, signature = _dispatcher(*key), _signature(dtype)
        try:
            if is_kept(*key):
                dispatcher.compile(signature)
            else:
                with locked():
                    dispatcher.compile(signature)
        except NumbaError as error:
            names = ", ".join(loop.__qualname__ for loop in loops or (function,))
            raise TypeError(
                f"Numba can't compile {names}. Correct these loops, or leave them out: "
                f"the part is then trained by its definition. {error}"
            ) from error
        code = dispatcher.overloads[signature.args]
        name = code.fndesc.llvm_func_name
        _addresses[key] = code.library.get_pointer_to_function(name)
    return _addresses[key]


def _key(function, loops, dtype):
    return first_of(function), tuple(map(first_of, loops)), dtype


def _register_helpers(*functions):
    """Make the helpers known to numba, also those that came from another process."""
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


def n_operations():
    """Return how many operations this process has compiled or loaded."""
    return len(_addresses)


def is_kept(function, loops, dtype):
    """Tell whether an operation needs no compiling: it is on disk, or was compiled."""
    key = _key(function, loops, dtype)
    if key in _addresses:
        return True
    dispatcher = _dispatcher(*key)
    codegen = dispatcher.targetctx.codegen()
    cache = dispatcher._cache
    return isinstance(cache, DiskCache) and cache.holds(_signature(dtype), codegen)


@cache
def _dispatcher(function, loops, dtype):
    """Return what compiles an operation; functions that are equal are the same ones."""
    made = function(*map(_loop, loops)) if loops else function
    dispatcher = njit(**OPTIONS, **INSIDE)(made)
    # What is kept on disk is what the stamp of the sources covers: our own.
    if all(f.__module__.partition(".")[0] == "sknn_notes" for f in (function, *loops)):
        dispatcher._cache = DiskCache("+".join(map(_name, (function, *loops))))
    return dispatcher


@cache
def _loop(function):
    return njit(**OPTIONS, **INSIDE, forceinline=True)(function)


def _signature(dtype):
    floats = types.Array(numba.from_dtype(dtype), 1, "C")
    integers = types.Array(types.int64, 1, "C")
    bits = types.Array(types.uint32, 1, "C")
    fields = {
        name: integers if name == "classes" else bits if name == "bits" else floats
        for name in Memory._fields
    }
    memory = types.NamedTuple(tuple(fields.values()), Memory)
    numbers = types.Array(types.float64, 1, "C")
    return types.float64(
        memory, integers, numbers, types.int64, types.uint64, types.int64
    )


@intrinsic
def _call(typing_context, address, memory, at, numbers, n, key, t):
    """Call the operation at an address."""
    argument_types = memory, at, numbers, n, key, t
    signature = types.float64(address, *argument_types)

    def generate(context, builder, signature, arguments):
        convention = context.call_conv
        kind = convention.get_function_type(types.float64, argument_types)
        pointer = builder.inttoptr(arguments[0], kind.as_pointer())
        status, result = convention.call_function(
            builder, pointer, types.float64, argument_types, arguments[1:]
        )
        # What loops raise ends the call with their exception.
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return signature, generate


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
        Of all operations; one row for each step, or one for all.
    memory : Memory
        With the rows of all batches, one batch after the other.
    n_features : int
    edges : ndarray of shape (n_steps + 1,)
        Batch ``i`` is the rows from ``edges[i]`` to ``edges[i + 1]``.
    keys : ndarray of shape (n_steps, n_keys)
        Tell the random bits of the operations that draw some.
    t : int
        Steps made before.

    Returns
    -------
    total : float
        The sum of the objectives of the batches, each times its number of rows; the
        objective itself where it is not finite, and then no step is made after it.
    """
    total = 0.0
    n_targets = len(memory.targets) // max(1, edges[-1])
    for step in range(len(edges) - 1):
        first, last = edges[step], edges[step + 1]
        n = last - first
        batch = Memory(
            memory.x[first * n_features : last * n_features],
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
        )
        row = numbers[min(step, len(numbers) - 1)]
        value = 0.0
        for i in range(len(tape.addresses)):
            if i == tape.n_objective and not np.isfinite(value):
                return value
            value += _call(  # type: ignore[call-arg]
                tape.addresses[i],
                batch,
                tape.at[tape.at_edges[i] : tape.at_edges[i + 1]],
                row[tape.number_edges[i] : tape.number_edges[i + 1]],
                n,
                keys[step, tape.keys[i]] if tape.keys[i] >= 0 else np.uint64(0),
                t + step + 1,
            )
        total += value * n
    return total
