"""Tables of what each hyperparameter moves, as text and for the documentation.

Differences from the default network are taken on the same split, then averaged over
seeds; errors are standard errors over sets.
"""

from statistics import fmean, median

from _quality_tables import Results, as_rst, as_text, better_worse, plus_minus

BASELINE = "default"
NOTES = (
    "One change to the default network at a time. Differences from it in points. "
    "Accuracy: the mean over {n_classes} sets and its standard error. Then R2 on "
    "{numbers} and micro-averaged F1 on {labels}. Better and worse: the sets of all "
    "kinds. CPU time of fit over the default network's, the median over the sets.",
    "Each step on top of those before it, as in the table above.",
    "Some changes and the last steps by data set: differences from the default "
    "network in points.",
)


def table(results, changes):
    """Return the rows of a table, one a change, below the names of the columns."""
    others = [*results.sets("regression"), *results.sets("multilabel")]
    rows = [["change", "accuracy", *others, "better:worse", "CPU time"]]
    for change in changes:
        classes = results.mean_differences(change, BASELINE, "classification")
        pairs = [results.differences(change, BASELINE, name) for name in others]
        means = [fmean(pair) for pair in pairs if pair]
        ratio = median(
            fmean(results.values(change, name, "cpu"))
            / fmean(results.values(BASELINE, name, "cpu"))
            for name in results.kinds
            if results.differences(change, BASELINE, name)
        )
        rows.append(
            [
                change,
                plus_minus(classes),
                *(f"{fmean(pair):+.1f}" if pair else "" for pair in pairs),
                better_worse(classes + means),
                f"{ratio:.2g}",
            ]
        )
    return rows


def by_set(results, changes):
    """Return the rows of a table, one a data set, with a column for each change."""
    rows = [["data set", *changes.values()]]
    for name in results.kinds:
        pairs = [results.differences(change, BASELINE, name) for change in changes]
        rows.append([name, *(f"{fmean(pair):+.1f}" if pair else "" for pair in pairs)])
    return rows


def _tables(results, sets, changes, steps, selected):
    results = Results(results, sets, [BASELINE, *changes, *steps])
    about = NOTES[0].format(
        n_classes=len(results.sets("classification")),
        numbers=", ".join(results.sets("regression")),
        labels=", ".join(results.sets("multilabel")),
    )
    return [
        (about, table(results, changes)),
        (NOTES[1], table(results, steps)),
        (NOTES[2], by_set(results, selected)),
    ]


def text_tables(results, sets, *listed):
    """Return the tables of changes, of steps, and of both by data set, as text."""
    return as_text(_tables(results, sets, *listed))


def rst_tables(results, sets, *listed):
    """Return the same as list tables of reStructuredText."""
    return as_rst(_tables(results, sets, *listed), "tuning.py")
