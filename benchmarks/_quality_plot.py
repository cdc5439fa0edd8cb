"""The picture of the quality benchmark's results: gains by data set."""

from statistics import fmean

from _quality_tables import BASELINE, Results

# contestant -> (label, color, marker); the colors also differ in brightness.
DRAWN = {
    "hgb": ("gradient boosting", "#b0703c", "s"),
    "realmlp": ("RealMLP", "#8a8a8a", "D"),
    "ours": ("MLPClassifier, MLPRegressor", "#56b4e9", "o"),
    "balanced": ('tabular, "balanced"', "#0072b2", "o"),
    "best": ('tabular, "best"', "#000000", "v"),
}
PANELS = (
    ("Accuracy", "classification"),
    ("R² and F1 (yeast)", "regression", "multilabel"),
)


def plot(results, sets, path):
    """Draw the points over scikit-learn's network, one row a data set."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    results = Results(results, sets)
    names = [results.sets(*kinds) for _, *kinds in PANELS]
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    panels = figure.subplots(2, 1, height_ratios=[len(n) + 1 for n in names])
    for panel, (title, *_), rows in zip(panels, PANELS, names, strict=True):
        panel.axvline(0, color="0.3", linewidth=1)
        for contestant, (label, color, marker) in DRAWN.items():
            gains = [results.differences(contestant, BASELINE, name) for name in rows]
            drawn = [(fmean(gain), i) for i, gain in enumerate(gains) if gain]
            panel.plot(
                *zip(*drawn, strict=True),
                linestyle="",
                marker=marker,
                color=color,
                markersize=6,
                label=label,
            )
        panel.set_yticks(range(len(rows)), rows)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_title(f"{title}: points over scikit-learn's network", fontsize=10)
        panel.grid(alpha=0.3)
    legend = panels[0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside lower center", ncols=3)
    # The same file from the same results.
    with mpl.rc_context({"svg.hashsalt": "quality"}):
        figure.savefig(path, metadata={"Date": None})
