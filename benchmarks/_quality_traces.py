"""Test scores of networks during training, against processor time.

``CONTESTANTS`` lists how each prepares its inputs and trains; ``trace`` runs one. All
except the last train scikit-learn's default network. Missing values are not imputed,
which would take longer than some trainings.
"""

from time import process_time

import numpy as np
from sklearn import neural_network
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknn_notes
from _quality_models import SkorchNet, as_numbers
from sknn_notes.losses import LogLoss
from sknn_notes.preprocessing import RobustStandardizer
from sknn_notes.tabular._recipes import RECIPES, candidates
from sknn_notes.tabular._recipes import parameters as recipe_parameters

N_EPOCHS, BATCH_SIZE, RATE, PENALTY = 200, 200, 1e-3, 1e-4


class Trace:
    """The test score after every epoch, and the processor time until then.

    The clock runs from the start and is stopped while a network is scored.

    Parameters
    ----------
    split : Split
    """

    def __init__(self, split):
        self._split = split
        self.seconds, self.scores = [], []
        self._spent, self._begin = 0.0, process_time()

    def stop(self):
        """Stop the clock."""
        self._spent += process_time() - self._begin

    def go_on(self):
        """Start the clock again."""
        self._begin = process_time()

    def prepare(self, transformer):
        """Prepare the inputs; return those to train on."""
        X = transformer.fit_transform(self._split.X_train)
        self.stop()
        self._X_test = transformer.transform(self._split.X_test)
        self.go_on()
        return X

    def epoch(self, predict):
        """Score the network at the end of an epoch."""
        self.stop()
        self.keep(predict)
        self.go_on()

    def keep(self, predict):
        """Score it while the clock is stopped."""
        self.seconds.append(self._spent)
        self.scores.append(self._split.score(predict(self._X_test)))


class Traced:
    """scikit-learn's networks have no callbacks; they call this once an epoch."""

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        self.trace.epoch(self.predict)


class TracedClassifier(Traced, neural_network.MLPClassifier):
    pass


class TracedRegressor(Traced, neural_network.MLPRegressor):
    pass


def train_sklearn(X, y, kind, seed, trace):
    make = TracedRegressor if kind == "regression" else TracedClassifier
    network = make(random_state=seed)
    network.trace = trace
    network.fit(X, y)
    assert len(trace.scores) == network.n_iter_


def train_skorch(X, y, kind, seed, trace):
    model = SkorchNet(kind, seed)
    data = model.start(X, y)
    model.net_.initialize()
    for _ in range(N_EPOCHS):
        model.net_.fit_loop(*data, epochs=1)
        trace.epoch(model.predict)


def train_torch(X, y, kind, seed, trace):
    """PyTorch, eager: fused Adam, batches gathered by a permutation of the rows."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    regression = kind == "regression"
    X = torch.from_numpy(X.astype(np.float32))
    y = torch.from_numpy(y.astype(np.float32)[:, None] if regression else y)
    n_outputs = 1 if regression else int(y.max()) + 1
    net = nn.Sequential(
        nn.Linear(X.shape[1], 100), nn.ReLU(), nn.Linear(100, n_outputs)
    )
    loss = nn.MSELoss() if regression else nn.CrossEntropyLoss()
    adam = torch.optim.Adam(
        net.parameters(), lr=RATE, weight_decay=PENALTY / BATCH_SIZE, fused=True
    )

    @torch.no_grad()
    def predict(X):
        raw = net(torch.from_numpy(X.astype(np.float32))).numpy()
        return raw if regression else raw.argmax(axis=1)

    for _ in range(N_EPOCHS):
        for rows in torch.randperm(len(X)).split(BATCH_SIZE):
            adam.zero_grad()
            loss(net(X[rows]), y[rows]).backward()
            adam.step()
        trace.epoch(predict)


class StopClock:
    """A callback that stops the clock at the end of an epoch, before the next does."""

    def __init__(self, trace):
        self.trace = trace

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.trace.stop()


class KeepScore(StopClock):
    """A callback that scores the network, which takes a copy of it, and goes on."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.trace.keep(fitted_estimator.predict)
            self.trace.go_on()


def train_ours(X, y, kind, seed, trace, **parameters):
    regression = kind == "regression"
    make = sknn_notes.MLPRegressor if regression else sknn_notes.MLPClassifier
    network = make(random_state=seed, **parameters)
    network.set_callbacks(StopClock(trace), KeepScore(trace)).fit(X, y)


def train_short(X, y, kind, seed, trace):
    recipe = RECIPES["fast"]
    parameters = recipe_parameters(recipe, len(X)) | candidates(recipe, X)[0]
    parameters["max_iter"] = recipe.max_iter
    if kind == "classification":
        parameters["loss"] = LogLoss(label_smoothing=0.1)
    train_ours(X, y, kind, seed, trace, **parameters)


def standardized(frame):
    return make_pipeline(as_numbers(frame, "passthrough"), StandardScaler())


def robustly_standardized(frame):
    return as_numbers(frame, RobustStandardizer())


# name -> (how the inputs are prepared, how the network is trained)
CONTESTANTS = {
    "scikit-learn": (standardized, train_sklearn),
    "skorch": (standardized, train_skorch),
    "PyTorch": (standardized, train_torch),
    "ours": (standardized, train_ours),
    "ours, short": (robustly_standardized, train_short),
}


def trace(name, split, seed):
    """Train a contestant; return the processor time and the score of every epoch."""
    transformer, train = CONTESTANTS[name]
    trace = Trace(split)
    X = trace.prepare(transformer(hasattr(split.X_train, "iloc")))
    train(X, split.y_train, split.kind, seed, trace)
    return {"seconds": trace.seconds, "scores": trace.scores}
