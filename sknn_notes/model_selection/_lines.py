"""The lines that scikit-learn's searches print for each task with ``verbose``.

scikit-learn's own lines would not include the time of the fit, since the networks are
fitted before scikit-learn's function for the task is called.
"""

from typing import Any

from joblib.logger import short_format_time

_WIDTH = 80


def start_line(keywords: dict[str, Any]) -> None:
    """Print that a task starts, if ``verbose`` is above 9."""
    if keywords["verbose"] > 9:
        line = f"{_name(keywords)} START {_parameters(keywords)}"
        print(f"{line}{(_WIDTH - len(line)) * '.'}\n", end="")


def end_line(keywords: dict[str, Any], result: dict[str, Any]) -> None:
    """Print the scores and the time of a task, if ``verbose`` is above 1."""
    verbose = keywords["verbose"]
    if verbose < 2:
        return
    begin, end = f"{_name(keywords)} END ", _parameters(keywords)
    end += ";" if end else ""
    if verbose > 2:
        end += _scores(result)
    seconds = result["fit_time"] + result["score_time"]
    end += f" total time={short_format_time(seconds)}"
    # One call with the newline, so that lines of several threads do not mix.
    print(f"{begin}{end:.>{max(0, _WIDTH - len(begin))}}\n", end="")


def _name(keywords: dict[str, Any]) -> str:
    name, verbose = "", keywords["verbose"]
    split, candidate = (keywords[f"{each}_progress"] for each in ("split", "candidate"))
    if verbose > 2:
        name += f" {split[0] + 1}/{split[1]}"
    if verbose > 9:
        name += f"; {candidate[0] + 1}/{candidate[1]}"
    return f"[CV{name}]"


def _parameters(keywords: dict[str, Any]) -> str:
    parameters = keywords["parameters"]
    return ", ".join(f"{name}={parameters[name]}" for name in sorted(parameters))


def _scores(result: dict[str, Any]) -> str:
    test, train = result["test_scores"], result.get("train_scores")
    if isinstance(test, dict):
        lines = []
        for name in sorted(test):
            before = "" if train is None else f"train={train[name]:.3f}, "
            lines.append(f" {name}: ({before}test={test[name]:.3f})")
        return "".join(lines)
    if train is None:
        return f", score={test:.3f}"
    return f", score=(train={train:.3f}, test={test:.3f})"
