"""Tables of the quality benchmark's results, as text and for the documentation.

The key of a result is "contestant/set/seed". Differences from scikit-learn's networks
are computed on the same split, then averaged over seeds; errors are standard errors,
over data sets in the first table and over seeds in the second.
"""

import re
from statistics import fmean, stdev

import numpy as np

from _quality_models import CONTESTANTS

BASELINE, PEER = "sklearn", "realmlp"
SUMMARY = [
    "contestant",
    "accuracy",
    "better:worse",
    "R2",
    "yeast F1",
    "above RealMLP",
    "CPU s",
    "of scikit-learn's",
    "of RealMLP's",
]


class Results:
    """Results by contestant and set, each a dict of seeds."""

    def __init__(self, results, sets, contestants=CONTESTANTS):
        self.by_set = {}
        for key, result in results.items():
            contestant, name, seed = key.split("/")
            self.by_set.setdefault((contestant, name), {})[int(seed)] = result
        kinds = {key.split("/")[1]: result["kind"] for key, result in results.items()}
        self.kinds = {name: kinds[name] for name in sets if name in kinds}
        self.contestants = [
            c for c in contestants if any(c == name for name, _ in self.by_set)
        ]

    def sets(self, *kinds):
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def values(self, contestant, name, what="score"):
        return [r[what] for r in self.by_set.get((contestant, name), {}).values()]

    def differences(self, contestant, other, name):
        """Return the differences of two scores in points, one a seed that both have."""
        ours = self.by_set.get((contestant, name), {})
        theirs = self.by_set.get((other, name), {})
        seeds = sorted(ours.keys() & theirs.keys())
        return [100 * (ours[s]["score"] - theirs[s]["score"]) for s in seeds]

    def mean_differences(self, contestant, other, *kinds):
        """Return the mean differences of two scores, one a set that both have."""
        pairs = [self.differences(contestant, other, n) for n in self.sets(*kinds)]
        return [fmean(pair) for pair in pairs if pair]

    def seconds(self, contestant, other=None):
        """Return the mean times summed over the sets, those that the other has."""
        return sum(
            fmean(self.values(contestant, name, "cpu"))
            for name in self.kinds
            if self.values(contestant, name)
            and (other is None or self.values(other, name))
        )


def summary(results):
    """Return the rows of the first table."""
    rows = []
    for contestant in results.contestants:
        classes = results.mean_differences(contestant, BASELINE, "classification")
        numbers = results.mean_differences(contestant, BASELINE, "regression")
        above = results.mean_differences(
            contestant, PEER, "classification", "regression"
        )
        yeast = [
            v for n in results.sets("multilabel") for v in results.values(contestant, n)
        ]
        rows.append(
            [
                contestant,
                plus_minus(classes),
                better_worse(classes),
                plus_minus(numbers),
                f"{fmean(yeast):.3f}" if yeast else "",
                f"{np.sum(np.array(above) > 0)} of {len(above)}" if above else "",
                f"{results.seconds(contestant):.1f}",
                _ratio(results, contestant, BASELINE),
                _ratio(results, contestant, PEER),
            ]
        )
    return rows


def better_worse(differences):
    """Return how many differences are above and below 0."""
    values = np.array(differences)
    return f"{np.sum(values > 0)}:{np.sum(values < 0)}"


def plus_minus(values):
    """Return the mean and its standard error, as text."""
    if not values:
        return ""
    error = f" ± {stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
    return f"{fmean(values):+.2f}{error}"


def _ratio(results, contestant, other):
    theirs = results.seconds(other, contestant)
    return f"{results.seconds(contestant, other) / theirs:.3g}" if theirs else ""


def per_set(results):
    """Return the rows of the second table: scores in points, marked where worse."""
    rows = []
    for name in results.kinds:
        row = [name]
        for contestant in results.contestants:
            scores = [100 * v for v in results.values(contestant, name)]
            cell = f"{fmean(scores):.2f}" if scores else ""
            if len(scores) > 1:
                cell += f" ± {stdev(scores):.2f}"
            if _is_worse(results.differences(contestant, BASELINE, name)):
                cell += " *"
            row.append(cell)
        rows.append(row)
    return rows


def _is_worse(differences):
    """Return whether the mean is more than two standard errors below 0."""
    if len(differences) < 2:
        return False
    error = stdev(differences) / len(differences) ** 0.5
    return fmean(differences) < min(-2 * error, 0)


NOTES = (
    "Accuracy and R2 are differences from scikit-learn's networks in percentage "
    "points, means over the data sets with their standard errors. The next column is "
    "the number of data sets with a better and a worse accuracy. CPU seconds are those "
    "of fit, summed over the data sets; ratios are over the data sets that both have.",
    "Accuracy, R2 or micro-averaged F1 in percent, mean and standard deviation over "
    "seeds. A star marks scores whose difference from scikit-learn's on the same "
    "splits is more than two standard errors below 0.",
)


def _tables(results, sets):
    results = Results(results, sets)
    return (
        [SUMMARY, *summary(results)],
        [["data set", *results.contestants], *per_set(results)],
    )


def text_tables(results, sets):
    """Return both tables as text."""
    return as_text(zip(NOTES, _tables(results, sets), strict=True))


def rst_tables(results, sets):
    """Return both tables as list tables of reStructuredText."""
    return as_rst(zip(NOTES, _tables(results, sets), strict=True), "quality.py")


def as_text(noted_tables):
    """Return pairs of a note and a table, rows of cells, as text."""
    parts = []
    for note, rows in noted_tables:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
            for row in rows
        ]
        parts.append("\n".join([*(line.rstrip() for line in lines), "", note, ""]))
    return "\n".join(parts)


def as_rst(noted_tables, program):
    """Return pairs of a note and a table as list tables of reStructuredText."""
    parts = [f".. Written by benchmarks/{program} --rst.", ""]
    for note, rows in noted_tables:
        parts += [".. list-table::", "   :header-rows: 1", "   :class: dense", ""]
        for row in rows:
            # No emphasis, no numbered lists.
            cells = [re.sub(r"\*|(?<=^\d)\.(?= )", r"\\\g<0>", cell) for cell in row]
            parts += [f"   * - {cells[0]}".rstrip()]
            parts += [f"     - {cell}".rstrip() for cell in cells[1:]]
        parts += ["", note, ""]
    return "\n".join(parts)
