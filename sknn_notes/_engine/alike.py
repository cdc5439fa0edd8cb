"""Networks that differ only in numbers, as one network with an axis of models."""

import copy
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from sknn_notes._arrays import namespace
from sknn_notes._checks import Interval
from sknn_notes._engine.network import Network
from sknn_notes._engine.program import Program
from sknn_notes._part import Part
from sknn_notes._trees import Tree
from sknn_notes.layers._activate import Activate
from sknn_notes.layers._base import Layer
from sknn_notes.layers._dropout import Dropout, Mask
from sknn_notes.schedules import Schedule


def signature(program):
    """Return a key that is equal for programs that can be run as one.

    Their numbers may differ: strengths, rates, and parameters of parts that are real
    numbers. Parts of other packages must be equal. Some may have no dropout, which is
    treated as a rate of 0.
    """
    network, penalized = program.network, program.penalized
    layers, dropouts = _without_dropout(network.layers)
    alphas = penalized.specs
    scheduled = [
        next(i for i, other in enumerate(alphas) if other is spec)
        for spec in alphas
        if isinstance(spec, Schedule)
    ]
    parts = program.loss, program.optimizer, penalized.penalty, *layers
    return (
        network.theta.dtype.str,
        *map(_signature, parts),
        tuple(i for i, layer in dropouts.items() if layer.schedule),
        all(layer.mask.inverted for layer in dropouts.values()),
        tuple(isinstance(spec, Schedule) for spec in alphas),
        tuple(scheduled),
        penalized.penalize_bias,
        # With strengths of 0, a solver makes its plain steps.
        program.smooth,
        tuple(norm is None for norm in program.max_norms),
        program.clip_norm is None,
    )


def _without_dropout(layers):
    """Return the other layers, and dropout layers by the number of layers before."""
    others: list[Layer] = []
    dropouts = {}
    for layer in layers:
        if isinstance(layer, Dropout):
            dropouts[len(others)] = layer
        else:
            others.append(layer)
    return others, dropouts


def _signature(value):
    if isinstance(value, Schedule):
        return "schedule"
    if isinstance(value, Mask):
        return "mask", value.inverted
    if isinstance(value, Part | Layer | Tree):
        numbers = _numbers(value)
        items = ((k, v) for k, v in _held(value) if k not in numbers)
        return type(value), tuple(numbers), *((k, _signature(v)) for k, v in items)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return type(value), *map(_signature, value)
    if isinstance(value, dict):
        return "dict", *((k, _signature(v)) for k, v in value.items())
    simple = value is None or isinstance(value, str | bool | int | float)
    return value if simple else id(value)


def _held(value):
    """Return the attributes of an object, by name."""
    # Activations hold the mask of the dropout after them, for compiled steps.
    left_out = "mask" if isinstance(value, Activate) else None
    return [(k, v) for k, v in vars(value).items() if k != left_out]


def _numbers(part):
    """Return the names of the parameters that may differ between models."""
    if not (isinstance(part, Part) and type(part).__module__.startswith("sknn_notes.")):
        return []
    return [
        name
        for name, domain in part._parameter_constraints.items()
        if any(isinstance(x, Interval) and x.type is Real for x in domain)
        and isinstance(vars(part).get(name), Real)
    ]


class Stacked:
    """One program for several networks of the same signature.

    Its vectors have a leading axis of models, and numbers that differ are arrays.

    Parameters
    ----------
    programs : list of Program
    array : callable
        Converts a numpy array to an array of the device.
    theta, running : array of shape (n_models, ...)
        The vectors of the networks on the device.

    Attributes
    ----------
    program : Program
    scheduled : list of list of (array, callable)
        For each item in ``scheduled`` of a single program, the arrays that it sets, and
        functions that compute their values from those of the schedule.
    draws : list of tuple of bool
        For each program, the random layers (and the random loss) that it draws keys
        for.
    """

    def __init__(self, programs, array, theta, running):
        first = programs[0].network
        self._array, self._dtype = array, first.theta.dtype
        self._cells: dict[tuple, Any] = {}
        self._merged: dict[int, Any] = {}
        self._scheduled_masks: list[_Masks] = []
        layers, owners = self._layers([program.network.layers for program in programs])
        self.draws = [
            tuple(
                i in own
                for layer, own in zip(layers, owners, strict=True)
                if layer.is_random
            )
            for i in range(len(programs))
        ]
        if programs[0].loss.is_random:
            self.draws = [(*draws, True) for draws in self.draws]
        network = Network(layers, self._dtype)
        network.theta, network.running = theta, running
        network.grad = namespace(theta).zeros_like(theta)
        network.bind()
        self.scheduled: list[list[tuple[Any, Any]]] = []
        self.program = self._program(programs, network)
        self.scheduled += [masks.cells for masks in self._scheduled_masks]

    def _layers(self, of_models):
        """Return the layers of all models, and the models that have each layer."""
        every = range(len(of_models))
        parts = [_without_dropout(layers) for layers in of_models]
        others = [self._one(each) for each in zip(*(x for x, _ in parts), strict=True)]
        merged: list[tuple[Any, Any]] = []
        for i in range(len(others) + 1):
            found = [dropouts.get(i) for _, dropouts in parts]
            known = next((layer for layer in found if layer is not None), None)
            if known is not None:
                has = {j for j, layer in enumerate(found) if layer is not None}
                merged.append((self._dropout(known, found), has))
            if i < len(others):
                merged.append((others[i], every))
        return [layer for layer, _ in merged], [owners for _, owners in merged]

    def _dropout(self, known, layers):
        """Return the dropout of all models, some of which may have none."""
        none = Mask(0.0, known.mask.inverted)
        masks = [none if layer is None else layer.mask for layer in layers]
        varies = known.schedule is not None
        dropout = copy.copy(known)
        dropout.mask = _Masks(masks, varies, self._column, self._dtype)
        self._scheduled_masks += [dropout.mask] if varies else []
        return dropout

    def _program(self, programs, network):
        first = programs[0]
        penalized = [program.penalized for program in programs]
        alphas: list[Any] = []
        for depth in range(len(first.penalized.specs)):
            specs = [each.specs[depth] for each in penalized]
            alphas.append(self._strength(specs, first.penalized.specs, alphas))
        norms = zip(*(program.max_norms for program in programs), strict=True)
        return Program(
            network,
            self._one([program.loss for program in programs]),
            self._one([each.penalty for each in penalized]),
            alphas,
            first.penalized.penalize_bias,
            [self._number(norm, 2) for norm in norms],
            self._one([program.optimizer for program in programs], n_axes=1),
            self._number([program.clip_norm for program in programs], 1),
        )

    def _strength(self, specs, first_specs, alphas):
        """Return the penalty strengths at a depth, which may follow schedules."""
        if not isinstance(specs[0], Schedule):
            return self._number([float(spec) for spec in specs], 2)
        place = next(i for i, spec in enumerate(first_specs) if spec is specs[0])
        if place < len(alphas):
            return alphas[place]
        cell = self._column([spec.start for spec in specs], self._dtype)
        self.scheduled.append([(cell, np.asarray)])
        return cell

    def _one(self, values, n_axes=2):
        """Merge an object of several models into one with the numbers of all."""
        first = values[0]
        if id(first) not in self._merged:
            self._merged[id(first)] = self._merge(values, n_axes)
        return self._merged[id(first)]

    def _merge(self, values, n_axes):
        first = values[0]
        if isinstance(first, Mask):
            return _Masks(values, False, self._column, self._dtype)
        if not isinstance(first, Part | Layer) or isinstance(first, Schedule):
            return first
        merged, numbers = copy.copy(first), _numbers(first)
        for name, value in _held(first):
            own = [vars(each)[name] for each in values]
            if name in numbers:
                setattr(merged, name, self._number(own, n_axes))
            elif isinstance(value, Part | Layer | Mask):
                setattr(merged, name, self._one(own, n_axes))
        return merged

    def _number(self, values, n_axes):
        """Return a number that all models share, or an array with one per model."""
        key = tuple(values), n_axes
        if all(value == values[0] for value in values):
            return values[0]
        if key not in self._cells:
            shape = len(values), *[1] * n_axes
            numbers = np.array(values, self._dtype).reshape(shape)
            self._cells[key] = self._array(numbers)
        return self._cells[key]

    def _column(self, values, dtype):
        return self._array(np.array(values, dtype).reshape(-1, 1, 1))


class _Masks(Mask):
    """The masks of several models.

    Parameters
    ----------
    masks : list of Mask
    varies : bool
        Whether the rates follow schedules.
    column : callable
        Converts numbers, one per model, to an array of a dtype.
    dtype : dtype
        Of the scales.

    Attributes
    ----------
    cells : list of (array, callable)
        The arrays that a schedule sets, and functions that compute their values from
        rates.
    """

    def __init__(self, masks, varies, column, dtype):
        self.inverted, self.cells = masks[0].inverted, []
        kinds = {
            "threshold": np.int64,
            "training_scale": dtype,
            "prediction_scale": dtype,
        }
        for name, kind in kinds.items():
            values = [getattr(mask, name) for mask in masks]
            same = all(value == values[0] for value in values)
            number = values[0] if same and not varies else column(values, kind)
            setattr(self, name, number)
            if varies:
                self.cells.append((number, partial(self._of_rates, name, kind)))

    def _of_rates(self, name, kind, rates):
        def of(rate):
            return getattr(Mask(float(rate), self.inverted), name)

        different, places = np.unique(rates, return_inverse=True)
        numbers = np.array([of(rate) for rate in different], kind)
        return numbers[places.reshape(np.shape(rates))]
