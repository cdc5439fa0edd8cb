"""Positions of arrays in flat vectors: views, slices and roles."""

import numpy as np
import pytest

from sknn_notes._engine.layout import ROLES, Layout
from sknn_notes._engine.network import hidden_layers
from sknn_notes.activations import ReLU
from sknn_notes.layers import BatchNorm, LayerNorm


def make_layout(units=(2, 3, 1), **options):
    return Layout(hidden_layers(list(units), [ReLU()] * (len(units) - 2), **options))


OPTIONS = [
    {},
    {"batch_norm": BatchNorm()},
    {"layer_norm": LayerNorm()},
    {"residual": True},
    {"residual": True, "batch_norm": BatchNorm(), "layer_norm": LayerNorm()},
    {"dropout": [0.5, 0.2], "input_dropout": 0.1, "dropconnect": 0.1},
]
every_network = pytest.mark.parametrize("options", OPTIONS, ids=str)


@every_network
def test_places_follow_each_other_without_gaps(options):
    layout = make_layout((4, 5, 3, 2), **options)
    for entries, size in (
        (layout.learned, layout.size),
        (layout.averages, layout.n_averages),
    ):
        ends = [0, *(entry.stop for entry in entries)]
        assert [entry.start for entry in entries] == ends[:-1]
        assert ends[-1] == size
        for entry in entries:
            assert entry.stop - entry.start == np.prod(entry.shape)
            assert layout.entry(entry.layer, entry.name) == entry


@every_network
def test_weights_come_first_then_biases_then_the_numbers_of_norms(options):
    layout = make_layout((4, 5, 3, 2), **options)
    roles = [ROLES.index(entry.role) for entry in layout.learned]
    assert roles == sorted(roles)
    for entry in layout.learned:
        assert (entry.role == "weights") == (entry.name == "W")
        assert (entry.role == "biases") == (entry.name == "b")


def test_a_norm_takes_the_place_of_the_biases_before_it():
    plain = make_layout()
    normed = make_layout(batch_norm=BatchNorm())
    assert [e.name for e in plain.learned] == ["W", "W", "b", "b"]
    assert [e.name for e in normed.learned] == ["W", "W", "b", "scale", "shift"]
    assert [e.depth for e in normed.learned] == [0, 1, 1, 0, 0]
    assert [e.name for e in normed.averages] == ["mean", "var"]
    assert (plain.size, normed.size) == (13, 16)
    assert (plain.n_averages, normed.n_averages) == (0, 6)


def test_a_residual_connection_has_weights_where_the_widths_differ():
    layout = make_layout((4, 5, 5, 2), residual=True)
    assert [(e.depth, e.shape) for e in layout.matrices()] == [
        (0, (4, 5)),
        (0, (4, 5)),
        (1, (5, 5)),
        (2, (5, 2)),
    ]


@every_network
def test_views_share_memory_and_cover_every_element_once(options):
    layout = make_layout((4, 5, 3, 2), **options)
    theta, running = np.zeros(layout.size), np.zeros(layout.n_averages)
    views = layout.views(theta, running)
    for arrays in views:
        for array in arrays.values():
            array += 1
    np.testing.assert_array_equal(theta, 1)
    np.testing.assert_array_equal(running, 1)
    for entry in layout.learned:
        assert views[entry.layer][entry.name].shape == entry.shape
    without = layout.views(theta)
    assert not any({"mean", "var"} & arrays.keys() for arrays in without)


@every_network
def test_views_of_several_vectors_have_their_axis_first(options):
    layout = make_layout((4, 5, 3, 2), **options)
    thetas = np.random.default_rng(0).normal(size=(6, layout.size))
    running = np.random.default_rng(1).normal(size=(6, layout.n_averages))
    stacked = layout.views(thetas, running)
    for i in range(6):
        single = layout.views(thetas[i], running[i])
        for many, one in zip(stacked, single, strict=True):
            assert many.keys() == one.keys()
            for name in many:
                assert np.shares_memory(many[name], thetas) or np.shares_memory(
                    many[name], running
                )
                np.testing.assert_array_equal(many[name][i], one[name])
    deeper = layout.views(thetas.reshape(2, 3, -1))
    for entry in layout.learned:
        assert deeper[entry.layer][entry.name].shape == (2, 3, *entry.shape)


# Slices


def test_slices_join_what_has_equal_keys_and_lies_together():
    layout = make_layout((2, 3, 4, 1))
    W = [6, 18, 22]
    assert layout.slices([0, 0, 0], False) == [(0, 22, 0)]
    assert layout.slices([0, 1, 1], False) == [(0, 6, 0), (6, 22, 1)]
    assert layout.slices([0, 1, 0], False) == [
        (0, W[0], 0),
        (W[0], W[1], 1),
        (W[1], W[2], 0),
    ]


def test_biases_are_covered_if_asked_for():
    layout = make_layout((2, 3, 4, 1))
    assert layout.slices([0, 0, 0], True) == [(0, 30, 0)]
    assert layout.slices([0, 1, 1], True) == [
        (0, 6, 0),
        (6, 22, 1),
        (22, 25, 0),
        (25, 30, 1),
    ]


@every_network
@pytest.mark.parametrize("penalize_bias", [False, True])
def test_slices_cover_weights_and_never_the_numbers_of_norms(options, penalize_bias):
    layout = make_layout((4, 5, 3, 2), **options)
    covered = np.zeros(layout.size, int)
    for start, stop, key in layout.slices([10, 20, 30], penalize_bias):
        covered[start:stop] += key
    for entry in layout.learned:
        wanted = [10, 20, 30][entry.depth]
        if entry.role == "others" or (entry.role == "biases" and not penalize_bias):
            wanted = 0
        np.testing.assert_array_equal(entry.view(covered), wanted)
