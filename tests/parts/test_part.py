"""Parts: how a name or an object becomes one, and what an error says."""

import pickle
from fractions import Fraction
from inspect import Parameter, signature

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import MLPRegressor
from sknn_notes._checks import Names, check_value, nearest
from sknn_notes._part import Part, kept, resolve
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.initializers import INITIALIZERS, Normal, Sparse
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Hinge,
    Quantile,
    SquaredError,
)
from sknn_notes.noise import NOISES
from sknn_notes.optimizers import OPTIMIZERS, SGD, Adam
from sknn_notes.penalties import PENALTIES
from sknn_notes.schedules import SCHEDULES, InvScaling

REGISTRIES = {
    "activation": ACTIVATIONS,
    "classification loss": CLASSIFICATION_LOSSES,
    "init": INITIALIZERS,
    "learning_rate": SCHEDULES,
    "noise": NOISES,
    "penalty": PENALTIES,
    "regression loss": REGRESSION_LOSSES,
    "solver": OPTIMIZERS,
}
every_part = pytest.mark.parametrize(
    "cls",
    [
        pytest.param(cls, id=f"{family}-{name}")
        for family, registry in REGISTRIES.items()
        for name, cls in registry.items()
    ],
)


# Contract of all parts


@every_part
def test_a_part_is_made_from_keywords_that_have_defaults(cls):
    parameters = signature(cls).parameters.values()
    for parameter in parameters:
        # Quantile([0.1, 0.5, 0.9]) needs no keyword.
        assert parameter.kind is Parameter.KEYWORD_ONLY or cls is Quantile
        assert parameter.default is not Parameter.empty


@every_part
def test_every_parameter_of_a_part_has_a_domain(cls):
    assert set(cls._parameter_constraints) == set(signature(cls).parameters)


@every_part
def test_the_defaults_of_a_part_are_valid(cls):
    assert isinstance(cls(), Part)
    cls().check()


@every_part
def test_a_part_can_be_cloned_and_pickled(cls):
    part = cls()
    for copy in (clone(part), pickle.loads(pickle.dumps(part))):
        assert type(copy) is cls
        assert copy is not part
        assert copy.get_params() == part.get_params()


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_a_registry_is_in_the_order_of_its_names(registry):
    assert list(registry) == sorted(registry)


# From a name


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_every_name_resolves_to_its_class(registry):
    for name, cls in registry.items():
        assert type(resolve(name, registry)) is cls


def test_a_name_takes_the_flat_parameters_that_it_knows():
    flat = {"momentum": 0.3, "nesterovs_momentum": False, "beta_1": 0.5, "alpha": 1.0}
    assert resolve("sgd", OPTIMIZERS, flat).get_params() == {
        "momentum": 0.3,
        "nesterovs_momentum": False,
    }
    assert (
        resolve("adam", OPTIMIZERS, flat).get_params() == Adam(beta_1=0.5).get_params()
    )


def test_a_name_without_flat_parameters_takes_its_defaults():
    assert resolve("sgd", OPTIMIZERS).get_params() == SGD().get_params()


def test_two_resolutions_share_nothing():
    assert resolve("sgd", OPTIMIZERS) is not resolve("sgd", OPTIMIZERS)


# From a part


def test_a_part_keeps_its_own_parameters():
    part = resolve(SGD(momentum=0.3), OPTIMIZERS, {"momentum": 0.7})
    assert part.momentum == 0.3


def test_a_part_is_copied_and_never_changed():
    passed = SGD(momentum=0.3)
    part = resolve(passed, OPTIMIZERS, {"nesterovs_momentum": False})
    assert part is not passed
    part.momentum = 0.9
    part.nesterovs_momentum = False
    assert passed.get_params() == {"momentum": 0.3, "nesterovs_momentum": True}


def test_flat_parameters_are_never_changed():
    flat = {"momentum": 0.3, "alpha": 1.0}
    resolve("sgd", OPTIMIZERS, flat)
    assert flat == {"momentum": 0.3, "alpha": 1.0}


def test_a_part_of_a_user_needs_no_name():
    class Halved(Normal):
        pass

    assert type(resolve(Halved(std=2.0), INITIALIZERS)) is Halved


# Numbers


@pytest.mark.parametrize("number", [np.float16, np.float32, np.longdouble, Fraction])
def test_the_numbers_of_a_part_are_pythons_own(number):
    part = resolve(SGD(momentum=number(0.25), nesterovs_momentum=np.True_), OPTIMIZERS)
    assert part.get_params() == {"momentum": 0.25, "nesterovs_momentum": True}
    assert type(part.momentum) is float
    assert type(part.nesterovs_momentum) is bool
    assert type(resolve(Sparse(n_connections=np.int8(3)), {}).n_connections) is int


# Parts that stay


class Weighted(Normal):
    """A part whose parameter is an array."""

    _parameter_constraints = {"weights": "no_validation"}

    def __init__(self, *, weights=None):
        self.weights = weights


def test_a_part_of_the_same_parameters_is_kept():
    fitted = Weighted(weights=np.arange(3.0))
    assert kept(Weighted(weights=np.arange(3.0)), fitted) is fitted
    other = Weighted(weights=np.arange(4.0))
    assert kept(other, fitted) is other
    assert kept(None, fitted) is None
    sgd = SGD(momentum=0.5)
    assert kept(SGD(momentum=0.5), sgd) is sgd
    assert kept(SGD(), sgd) is not sgd


# Errors


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Hinge(margin=-1.0), "'margin' parameter of Hinge.*Got -1.0"),
        (Hinge(margin="big"), "'margin' parameter of Hinge.*Got 'big'"),
        (SGD(momentum=1.5), "'momentum' parameter of SGD.*Got 1.5"),
        (Adam(beta_2=1.0), "'beta_2' parameter of Adam.*Got 1.0"),
        (Adam(epsilon=0.0), "'epsilon' parameter of Adam.*Got 0.0"),
        (Normal(std=0.0), "'std' parameter of Normal.*Got 0.0"),
        (InvScaling(power_t=-0.5), "'power_t' parameter of InvScaling.*Got -0.5"),
    ],
)
def test_a_part_with_an_invalid_parameter_raises(part, message):
    with pytest.raises(ValueError, match=message):
        resolve(part, {})


def test_an_invalid_flat_parameter_raises():
    with pytest.raises(ValueError, match="'momentum' parameter of SGD"):
        resolve("sgd", OPTIMIZERS, {"momentum": -0.1})


@pytest.mark.parametrize(
    ("parameter", "wrong", "right", "registry"),
    [
        ("activation", "relo", "relu", ACTIVATIONS),
        ("solver", "Adam", "adam", OPTIMIZERS),
        ("loss", "logloss", "log_loss", CLASSIFICATION_LOSSES),
        ("init", "he-normal", "he_normal", INITIALIZERS),
    ],
)
def test_a_wrong_name_is_told_the_nearest_and_all(parameter, wrong, right, registry):
    with pytest.raises(ValueError, match=f"Did you mean '{right}'") as caught:
        check_value("MLPClassifier", parameter, wrong, [Names(registry)])
    message = str(caught.value)
    assert f"'{parameter}' parameter of MLPClassifier" in message
    assert repr(wrong) in message
    for name in registry:
        assert repr(name) in message


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=list(REGISTRIES))
def test_every_alias_means_a_part_or_says_what_to_do(registry):
    for alias, meant in getattr(registry, "aliases", {}).items():
        assert alias not in registry
        assert meant in registry or meant.endswith((".", "'"))
        assert nearest(alias, registry) in (meant, f"Did you mean {meant!r}?")


def test_a_name_far_from_all_gets_no_guess():
    with pytest.raises(ValueError, match="Got 'xyzzy'") as caught:
        check_value("MLPClassifier", "solver", "xyzzy", [Names(OPTIMIZERS)])
    assert "Did you mean" not in str(caught.value)


# Registries


@pytest.fixture
def own_loss():
    class Own(SquaredError):
        """A user's loss."""

    yield Own
    REGRESSION_LOSSES.pop("own_loss", None)


def test_a_registered_part_is_known_by_its_name(own_loss):
    with pytest.raises(ValueError, match="'own_loss'"):
        MLPRegressor(loss="own_loss").fit([[0.0], [1.0]], [0.0, 1.0])
    assert REGRESSION_LOSSES.register("own_loss", own_loss) is own_loss
    model = MLPRegressor(loss="own_loss", max_iter=1).fit([[0.0], [1.0]], [0.0, 1.0])
    assert isinstance(model._targets.loss, own_loss)
    with pytest.raises(ValueError, match="'own_loss', 'poisson'"):
        MLPRegressor(loss="none_such").fit([[0.0], [1.0]], [0.0, 1.0])


def test_register_decorates_and_accepts_a_class_that_is_defined_again():
    for _ in range(2):

        @REGRESSION_LOSSES.register("own_loss")
        class Own(SquaredError):
            """A user's loss."""

        assert REGRESSION_LOSSES["own_loss"] is Own
    del REGRESSION_LOSSES["own_loss"]


@pytest.mark.parametrize("name", ["squared_error", "no name", 3])
def test_names_that_can_not_be_registered(own_loss, name):
    with pytest.raises(ValueError, match="name"):
        REGRESSION_LOSSES.register(name, own_loss)
