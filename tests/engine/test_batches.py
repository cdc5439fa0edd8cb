"""Mini-batches: every row once an epoch, in an order that the generator decides."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes._engine.batches import Batches
from sknn_notes._engine.rows import Rows, as_matrix, blocks_of, rows_of

N = 11
every_layout = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def make_batches(
    batch_size=4, *, shuffle=True, sparse=False, weighted=True, y_columns=0
):
    """Return batches whose row i holds i in X, in y, and in the weights."""
    rows = np.arange(1.0, N + 1)
    X = rows[:, None] * np.ones(3)
    y = rows[:, None] * np.ones(y_columns) if y_columns else rows.astype(int)
    weight = rows.copy() if weighted else None
    X = csr_array(X) if sparse else X
    return Batches(X, y, weight, batch_size=batch_size, shuffle=shuffle)


def dense(X):
    return X.toarray() if hasattr(X, "toarray") else X.copy()


def rows_of_epoch(batches, rng):
    """Return the row numbers of every batch, after checking that all parts agree."""
    epoch = []
    for X, y, weight in batches.epoch(rng):
        rows = np.array(y).reshape(len(y), -1)[:, 0]
        np.testing.assert_array_equal(dense(X), rows[:, None] * np.ones(3))
        if weight is not None:
            np.testing.assert_array_equal(weight, rows)
        epoch.append(rows.astype(int).tolist())
    return epoch


@every_layout
@pytest.mark.parametrize("y_columns", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 10, 11])
def test_every_row_once_an_epoch_with_its_own_target(
    sparse, y_columns, weighted, batch_size
):
    batches = make_batches(
        batch_size, sparse=sparse, y_columns=y_columns, weighted=weighted
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        epoch = rows_of_epoch(batches, rng)
        assert sorted(np.concatenate(epoch)) == list(range(1, N + 1))
        sizes = [len(rows) for rows in epoch]
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert 0 < sizes[-1] <= batch_size


@every_layout
def test_without_shuffling_rows_keep_their_order(sparse):
    batches = make_batches(shuffle=False, sparse=sparse)
    for _ in range(2):
        epoch = rows_of_epoch(batches, np.random.default_rng(0))
        assert epoch == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11]]


def test_without_shuffling_the_generator_is_left_alone():
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    rows_of_epoch(make_batches(shuffle=False), rng)
    assert rng.random() == untouched.random()


def test_every_epoch_has_an_order_of_its_own():
    batches, rng = make_batches(N), np.random.default_rng(0)
    orders = [rows_of_epoch(batches, rng)[0] for _ in range(5)]
    assert len({tuple(order) for order in orders}) == 5


@every_layout
def test_the_seed_decides_the_order(sparse):
    epochs = [
        rows_of_epoch(make_batches(sparse=layout), np.random.default_rng(seed))
        for layout, seed in ((False, 0), (sparse, 0), (False, 1))
    ]
    assert epochs[0] == epochs[1]
    assert epochs[0] != epochs[2]


def test_every_row_is_equally_likely_to_come_first():
    batches, rng = make_batches(1), np.random.default_rng(0)
    first = [next(batches.epoch(rng))[1][0] for _ in range(1100)]
    counts = np.bincount(first)[1:]
    # Binomial(1100, 1 / 11): mean 100, standard deviation 9.5.
    assert np.all(np.abs(counts - 100) < 4.5 * 9.5)


def test_batches_are_gathered_into_the_same_memory():
    batches, rng = make_batches(), np.random.default_rng(0)
    places = {
        tuple(array.__array_interface__["data"][0] for array in batch)
        for _ in range(2)
        for batch in batches.epoch(rng)
    }
    assert len(places) == 1


def test_the_data_are_never_changed():
    batches, rng = make_batches(), np.random.default_rng(0)
    before = batches.X.copy()
    rows_of_epoch(batches, rng)
    np.testing.assert_array_equal(batches.X, before)


@every_layout
@pytest.mark.parametrize("shuffle", [False, True])
def test_types_are_kept(sparse, shuffle):
    X = np.ones((N, 3), np.float32)
    y = np.zeros(N, np.int64)
    batches = Batches(
        csr_array(X) if sparse else X, y, None, batch_size=4, shuffle=shuffle
    )
    for X_batch, y_batch, weight in batches.epoch(np.random.default_rng(0)):
        assert X_batch.dtype == np.float32
        assert y_batch.dtype == np.int64
        assert weight is None


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "min_rows", "sizes"),
    [
        (5, 1, [5, 5, 1]),
        (5, 2, [5, 6]),
        (4, 3, [4, 4, 3]),
        (4, 4, [4, 7]),
        (11, 2, [11]),
    ],
)
def test_a_last_batch_that_is_too_small_joins_the_one_before(
    shuffle, batch_size, min_rows, sizes
):
    X = np.arange(N, dtype=float)[:, None]
    batches = Batches(
        X,
        np.arange(N),
        None,
        batch_size=batch_size,
        shuffle=shuffle,
        min_rows=min_rows,
    )
    assert batches.max_rows == max(sizes)
    seen = []
    for (X_batch, y_batch, _), size in zip(
        batches.epoch(np.random.default_rng(0)), sizes, strict=True
    ):
        assert len(y_batch) == size
        np.testing.assert_array_equal(X_batch[:, 0], y_batch)
        seen += y_batch.tolist()
    assert sorted(seen) == list(range(N))


@every_layout
def test_a_sample_is_random_rows_without_repetition(sparse):
    batches = make_batches(4, sparse=sparse)
    rows = [
        dense(batches.sample(np.random.default_rng(seed)))[:, 0] for seed in range(5)
    ]
    assert {len(np.unique(row)) for row in rows} == {4}
    assert len({tuple(row) for row in rows}) > 1


@every_layout
@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_of_a_larger_matrix_make_the_batches_of_their_copy(sparse, shuffle):
    X = np.arange(60.0).reshape(20, 3)
    X = csr_array(X) if sparse else X
    index = np.array([3, 19, 4, 0, 7, 12, 8])
    y = np.arange(7)
    lazy, copied = (
        Batches(data, y, None, batch_size=3, shuffle=shuffle)
        for data in (rows_of(X, index), X[index])
    )
    generators = np.random.default_rng(0), np.random.default_rng(0)
    epochs = map(Batches.epoch, (lazy, copied), generators)
    for (one, _, _), (other, _, _) in zip(*epochs, strict=True):
        np.testing.assert_array_equal(dense(one), dense(other))
    blocks = [next(b.blocks(np.random.default_rng(1), 2))[0] for b in (lazy, copied)]
    np.testing.assert_array_equal(*map(dense, blocks))


def test_rows_of_rows_convert_what_they_read():
    X = np.arange(60, dtype=np.uint8).reshape(20, 3)
    expected = X[10:].astype(np.float32)[[5, 1, 2]]
    rows = Rows(X, np.arange(10, 20), np.float32).of(np.array([5, 1, 2]))
    assert rows.shape == (3, 3)
    assert rows.dtype == np.float32
    found = as_matrix(rows), rows[:], np.array(list(rows.T)).T, *blocks_of(rows)
    for each in found:
        assert each.dtype == np.float32
        np.testing.assert_array_equal(each, expected)
