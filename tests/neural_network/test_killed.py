"""Fits that SIGKILL ends at random moments, and that other processes resume."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from sknn_notes.callbacks import Checkpoint

# Forked processes fit and are killed, so that none has to import the library first.
FITS = """
import os, pickle, random, signal, sys, time, warnings
from sklearn.datasets import make_classification
from sknn_notes import MLPClassifier
from sknn_notes.callbacks import Checkpoint

warnings.simplefilter("ignore")
path, result, n_kills, params = sys.argv[1:]
folder, n_kills, params = os.path.dirname(path), int(n_kills), eval(params)
X, y = make_classification(
    n_samples=300, n_features=20, n_informative=6, n_classes=3, random_state=0
)
# It also loads the compiled operations. Threads would not survive a fork.
whole = MLPClassifier(**params).set_params(n_jobs=None).fit(X, y)
draw = random.Random(0)
# Of every kill the epochs in the file, and whether it came while writing.
kills = []
while len(kills) < n_kills:
    pid = os.fork()
    if not pid:
        if os.path.exists(path):
            Checkpoint.load(path).resume(X, y)
        else:
            MLPClassifier(**params).fit(X, y, checkpoint=Checkpoint(path))
        os._exit(0)
    time.sleep(draw.uniform(0.05, 0.4))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        os.remove(path)  # The fit had ended: another one begins.
    elif os.path.exists(path):
        progress = Checkpoint.load(path)._record.progress.values()
        n_epochs = sum(len(each.epochs["epochs"]) for each in progress)
        kills.append((n_epochs, any(x.endswith(".tmp") for x in os.listdir(folder))))
with open(result, "wb") as file:
    pickle.dump((X, y, whole, kills), file)
"""


def killed(n_kills, max_iter, tmp_path, **params):
    """Return the network of an uninterrupted fit, that of a killed one, the kills."""
    options = {
        "hidden_layer_sizes": (50,),
        "max_iter": max_iter,
        "n_iter_no_change": max_iter,
        "batch_size": 50,
        "dropout": 0.2,
        "early_stopping": True,
        "random_state": 0,
        **params,
    }
    path, result = tmp_path / "checkpoint" / "fit.ckpt", tmp_path / "result.pkl"
    path.parent.mkdir()
    command = [sys.executable, "-c", FITS, path, result, str(n_kills), repr(options)]
    subprocess.run(command, check=True)
    X, y, whole, kills = pickle.loads(result.read_bytes())
    checkpoint = Checkpoint.load(path)
    checkpoint.every_n_minutes = 60
    resumed = checkpoint.resume(X, y)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return whole, resumed, kills


def assert_same(one, other):
    for name in ("coefs_", "intercepts_"):
        np.testing.assert_equal(getattr(one, name), getattr(other, name))
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_
    assert one.best_epoch_ == other.best_epoch_
    for pair in zip(one.networks_ or (), other.networks_ or (), strict=True):
        assert_same(*pair)


NEEDS_FORK = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="the system forks no processes"
)


@NEEDS_FORK
def test_three_kills(tmp_path):
    whole, resumed, kills = killed(3, 150, tmp_path)
    assert len(kills) == 3
    assert_same(resumed, whole)


@NEEDS_FORK
@pytest.mark.nightly
@pytest.mark.parametrize(
    "params",
    [
        {"batch_norm": True, "learning_rate": "cosine"},
        {"solver": "sgd", "penalty": "l1"},
        {"n_networks": 2, "n_jobs": 2},
    ],
)
def test_fifty_kills(tmp_path, params):
    whole, resumed, kills = killed(50, 1000, tmp_path, **params)
    n_while_writing = sum(while_writing for _, while_writing in kills)
    print(f"{len(kills)} kills, {n_while_writing} of them while writing: {kills}")
    assert len(kills) == 50
    assert n_while_writing > 0
    assert_same(resumed, whole)
