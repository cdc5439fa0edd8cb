"""The summary of fitted networks: layers, shapes, parameters and memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import prod
from typing import Any

from sknn_notes._arrays import numpy_dtype
from sknn_notes.layers._base import Layer

_TITLES = ("Layer", "Output shape", "Arrays", "Parameters")


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a network, and what all networks of an estimator hold.

    ``MLPClassifier.summary`` describes the attributes.
    """

    layers: list[dict[str, Any]]
    n_networks: int
    n_parameters: int
    n_trained: int
    nbytes: int
    solver_nbytes: int
    dtype: str

    @classmethod
    def of(cls, networks: Sequence[Any]) -> "Summary":
        """Return the summary of the fitted networks of an estimator."""
        first, dtype = networks[0], numpy_dtype(networks[0].coefs_[0])
        layers = [each for x in networks for each in x._predictor.layers]
        n_trained = sum(map(prod, (s for x in layers for s in _trained(x).values())))
        n_fixed = sum(map(prod, (s for x in layers for s in x.running().values())))
        inputs = _record("Input", first.n_features_in_, {})
        return cls(
            layers=[
                inputs,
                *(_of_layer(x) for x in first._predictor.layers if x.title),
            ],
            n_networks=len(networks),
            n_parameters=n_trained + n_fixed,
            n_trained=n_trained,
            nbytes=(n_trained + n_fixed) * dtype.itemsize,
            solver_nbytes=sum(
                getattr(value, "nbytes", 0)
                for network in networks
                for value in network._training_state.optimizer_state.values()
            ),
            dtype=dtype.name,
        )

    def __repr__(self) -> str:
        rows = [_TITLES, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rows.insert(1, tuple("-" * width for width in widths))
        lines = [
            "  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])])
            for row in rows
        ]
        return "\n".join([*lines, "", *self._totals()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{title}</th>" for title in _TITLES)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        totals = "<br>".join(map(escape, self._totals()))
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<p>{totals}</p>"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [(*texts, f"{n:,}") for *texts, n in (x.values() for x in self.layers)]

    def _totals(self) -> list[str]:
        n_fixed = self.n_parameters - self.n_trained
        lines = [
            f"Parameters: {self.n_parameters:,} ({self.n_trained:,} trained, "
            f"{n_fixed:,} not trained)",
            f"Memory: {_size(self.nbytes)} in {self.dtype}, and "
            f"{_size(self.solver_nbytes)} of optimizer state",
        ]
        if self.n_networks > 1:
            lines.insert(
                0, f"Layers of the first of {self.n_networks} networks. In all:"
            )
        return lines


def _trained(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays that a layer learns."""
    return {name: parameter.shape for name, parameter in layer.parameters().items()}


def _of_layer(layer: Layer) -> dict[str, Any]:
    """Return the record of a layer."""
    title = " ".join(layer.title.split())  # A part with many parameters has lines.
    return _record(title, layer.n_outputs, _trained(layer) | layer.running())


def _record(
    title: str, n_outputs: int, shapes: dict[str, tuple[int, ...]]
) -> dict[str, Any]:
    return {
        "layer": title,
        "output_shape": f"(n_samples, {n_outputs})",
        "arrays": ", ".join(f"{name} {shape}" for name, shape in shapes.items()),
        "n_parameters": sum(map(prod, shapes.values())),
    }


def _size(n_bytes: int) -> str:
    """Return a number of bytes in a unit that suits it."""
    if n_bytes < 1024:
        return f"{n_bytes} bytes"
    power = min((n_bytes.bit_length() - 1) // 10, 3)
    return f"{n_bytes / 1024**power:,.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"
