"""Whitener against the definitions: covariances, null directions, closed forms."""

import numpy as np
import pytest
from sklearn import covariance, datasets, decomposition

from sknn_notes import Standardizer, Whitener

METHODS = ["pca", "zca", "pca_cor", "zca_cor", "cholesky"]
SPECTRAL = METHODS[:4]
ignore_cut = pytest.mark.filterwarnings("ignore:.*directions map to 0")


def mixed(n_samples, n_features, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features))
    return rng.normal(size=(n_samples, n_features)) @ mixing + rng.normal(
        size=n_features
    )


def cov(X):
    return np.cov(X, rowvar=False, bias=True)


def rank_deficient():
    """300 samples of 6 features: rank 3, one of the features constant."""
    X = mixed(300, 3) @ np.random.default_rng(1).normal(size=(3, 6)) + 5
    X[:, 4] = 2.5
    return X


@pytest.mark.parametrize("method", METHODS)
def test_covariance_is_the_identity(method):
    X = mixed(200, 5)
    whitener = Whitener(method, eps=0).fit(X)
    Z = whitener.transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(cov(Z), np.eye(5), atol=1e-9)
    np.testing.assert_allclose(whitener.inverse_transform(Z), X, atol=1e-9)
    np.testing.assert_allclose(Z, (X - X.mean(axis=0)) @ whitener.whitening_matrix())
    np.testing.assert_allclose(
        whitener.whitening_matrix() @ whitener.dewhitening_matrix(),
        np.eye(5),
        atol=1e-9,
    )


@pytest.mark.parametrize("method", SPECTRAL)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_eps_damps_by_s_over_s_plus_eps(method, eps):
    X = mixed(200, 5)
    whitener = Whitener(method, eps=eps).fit(X)
    S = whitener.explained_variance_
    Z = whitener.transform(X)
    damped = np.linalg.eigvalsh(cov(Z))[::-1]
    np.testing.assert_allclose(damped, S / (S + eps), rtol=1e-9)
    np.testing.assert_allclose(whitener.inverse_transform(Z), X, atol=1e-9)


def test_closed_forms():
    X = mixed(100, 4)
    C = cov(X)
    values, vectors = np.linalg.eigh(C)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(Whitener("zca", eps=0).fit(X).whitening_matrix(), root)
    std = np.sqrt(np.diag(C))
    P_values, P_vectors = np.linalg.eigh(C / np.outer(std, std))
    P_root = P_vectors @ np.diag(P_values**-0.5) @ P_vectors.T
    cor = Whitener("zca_cor", eps=0).fit(X)
    np.testing.assert_allclose(cor.whitening_matrix(), P_root / std[:, None])
    np.testing.assert_allclose(cor.explained_variance_, P_values[::-1])
    L = Whitener("cholesky", eps=0.1).fit(X).whitening_matrix()
    np.testing.assert_allclose(L, np.tril(L))
    assert (np.diag(L) > 0).all()
    np.testing.assert_allclose(L @ L.T, np.linalg.inv(C + 0.1 * np.eye(4)))


def test_zca_is_symmetric_and_the_whitening_closest_to_the_data():
    X = mixed(300, 4)
    Xc = X - X.mean(axis=0)
    zca = Whitener("zca", eps=0).fit(X)
    np.testing.assert_allclose(zca.whitening_matrix(), zca.whitening_matrix().T)
    # It takes the same data with its eigenvectors' signs turned to the same place.
    distance = np.sum((zca.transform(X) - Xc) ** 2)
    rng = np.random.default_rng(2)
    for _ in range(20):
        rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        assert np.sum((zca.transform(X) @ rotation - Xc) ** 2) >= distance
    for method in ("pca", "pca_cor", "zca_cor", "cholesky"):
        Z = Whitener(method, eps=0).fit_transform(X)
        assert np.sum((Z - Xc) ** 2) > distance


def test_zca_cor_correlates_most_with_the_standardized_data():
    X = mixed(300, 4) * [1, 10, 100, 0.1]

    def correlation(method):
        Z = Whitener(method, eps=0).fit_transform(X)
        return np.sum(Z * Standardizer().fit_transform(X)) / len(X)

    best = correlation("zca_cor")
    assert all(correlation(m) <= best + 1e-12 for m in METHODS)


def test_correlation_methods_have_no_unit():
    X = mixed(100, 4)
    units = np.array([1e-6, 1.0, 1e3, 1e9])
    for method in ("pca_cor", "zca_cor"):
        one = Whitener(method, eps=0.1).fit_transform(X)
        np.testing.assert_allclose(
            Whitener(method, eps=0.1).fit_transform(X * units), one
        )


@ignore_cut
@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine"])
def test_agrees_with_pca(name):
    X = getattr(datasets, f"load_{name}")().data[:700]
    ours = Whitener(ddof=1, eps=0).fit(X)
    theirs = decomposition.PCA(whiten=True, svd_solver="full").fit(X)
    # Below this the eigenvectors of a covariance matrix are mostly rounding.
    top = theirs.explained_variance_ > 1e-9 * theirs.explained_variance_[0]
    for name in ("explained_variance_", "explained_variance_ratio_"):
        np.testing.assert_allclose(
            getattr(ours, name)[top], getattr(theirs, name)[top], rtol=1e-6
        )
    if name == "digits":
        np.testing.assert_array_equal(ours.transform(X)[:, ~top], 0)
    signs = np.sign(np.sum(ours.components_ * theirs.components_, axis=1))[top]
    np.testing.assert_allclose(
        ours.transform(X)[:, top], theirs.transform(X)[:, top] * signs, atol=1e-5
    )
    for n_components in (1, 5, 0.5, 0.99):
        plain = Whitener(n_components=n_components, whiten=False).fit(X)
        pca = decomposition.PCA(n_components, svd_solver="full").fit(X)
        assert plain.n_components_ == pca.n_components_
        np.testing.assert_allclose(
            np.abs(plain.transform(X)), np.abs(pca.transform(X)), atol=1e-6
        )
        np.testing.assert_allclose(
            plain.inverse_transform(plain.transform(X)),
            pca.inverse_transform(pca.transform(X)),
            atol=1e-6,
        )


def test_unwhitened_components_keep_their_variances():
    X = mixed(200, 5)
    whitener = Whitener(whiten=False).fit(X)
    expected = np.diag(whitener.explained_variance_)
    np.testing.assert_allclose(cov(whitener.transform(X)), expected, atol=1e-9)
    np.testing.assert_allclose(whitener.inverse_transform(whitener.transform(X)), X)


@ignore_cut
@pytest.mark.parametrize("method", SPECTRAL)
@pytest.mark.parametrize("eps", [0, 1e-5])
def test_null_directions_map_to_zero_and_come_back_as_the_mean(method, eps):
    X = rank_deficient()
    whitener = Whitener(method, eps=eps).fit(X)
    Z = whitener.transform(X)
    values = np.linalg.eigvalsh(cov(Z))
    np.testing.assert_allclose(values[:3], 0, atol=1e-9)
    np.testing.assert_allclose(values[3:], 1, atol=1e-3)
    np.testing.assert_allclose(whitener.inverse_transform(Z), X, atol=1e-7)
    # Something unseen along the null directions: gone, not blown up.
    C = cov(X)
    null = np.linalg.eigh(C)[1][:, :3].T
    if method.endswith("_cor"):
        # Directions null after scaling; the constant feature is one by itself.
        null = np.eye(6)[[4]]
    later = X[:1] + 100 * null
    np.testing.assert_allclose(
        whitener.transform(later),
        whitener.transform(X[[0]] * np.ones((len(later), 1))),
        atol=1e-6,
    )
    back = whitener.inverse_transform(whitener.transform(whitener.mean_ + 100 * null))
    np.testing.assert_allclose(back, np.tile(whitener.mean_, (len(null), 1)), atol=1e-6)


BADLY_SCALED = [[5e4, 0.16, 1], [1e9, 1, 1e-5], [1e-7, 3, 1e7], [1e3, 1e-8]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("deviations", BADLY_SCALED, ids=str)
@pytest.mark.parametrize("n_samples", [20, 100_000])
def test_no_feature_with_variance_is_lost(method, deviations, n_samples):
    rng = np.random.default_rng(0)
    d = len(deviations)
    mixing = np.eye(d) + 0.3 * rng.normal(size=(d, d))
    X = rng.normal(size=(n_samples, d)) @ mixing * deviations + 3
    stream = Whitener(method, eps=0)
    for rows in np.array_split(np.arange(n_samples), 7):
        stream.partial_fit(X[rows])
    for whitener in (Whitener(method, eps=0).fit(X), stream):
        Z = whitener.transform(X)
        np.testing.assert_allclose(cov(Z), np.eye(d), atol=1e-7)
        error = np.abs(whitener.inverse_transform(Z) - X) / X.std(axis=0)
        assert error.max() < 1e-6
        if method == "pca":
            exact = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / n_samples
            np.testing.assert_allclose(whitener.explained_variance_, exact, rtol=1e-6)
    if method.startswith("pca"):
        turned = Whitener(method, whiten=False, eps=0).fit(X)
        error = np.abs(turned.inverse_transform(turned.transform(X)) - X)
        assert (error / X.std(axis=0)).max() < 1e-6


def test_fewer_samples_than_badly_scaled_features():
    rng = np.random.default_rng(0)
    deviations = np.logspace(-6, 6, 30)
    X = rng.normal(size=(12, 30)) * deviations
    for method in SPECTRAL:
        whitener = Whitener(method, eps=0).fit(X)
        error = whitener.inverse_transform(whitener.transform(X)) - X
        assert (np.abs(error) / deviations).max() < 1e-6


@pytest.mark.parametrize("method", SPECTRAL)
def test_fewer_samples_than_features_of_which_few_are_large(method):
    # Of five directions, the variances of three are 1e-24 of the others.
    deviations = np.r_[1e6, 1e6, np.full(18, 1e-6)]
    X = np.random.default_rng(0).normal(size=(6, 20)) * deviations
    whitener = Whitener(method, eps=0).fit(X)
    error = whitener.inverse_transform(whitener.transform(X)) - X
    assert (np.abs(error) / deviations).max() < 1e-6
    if method == "pca":
        exact = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / 6
        found = whitener.explained_variance_
        np.testing.assert_allclose(found[:5], exact[:5], rtol=1e-6)


@pytest.mark.parametrize("method", SPECTRAL)
@pytest.mark.parametrize("n_samples", [60, 300, 20_000])
@pytest.mark.parametrize("d", [2, 3, 6, 40])
def test_a_cut_direction_is_warned_of_once(method, n_samples, d):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(n_samples, d)) * 4 + 7
    Whitener(method, eps=0).fit(X)
    X[:, 1] = 3 * X[:, 0] - 5
    with pytest.warns(UserWarning, match=rf"1 of {d} directions map to 0") as caught:
        whitener = Whitener(method, eps=0).fit(X)
    Z = whitener.transform(X)
    np.testing.assert_allclose(np.linalg.eigvalsh(cov(Z))[1 - d :], 1, atol=1e-7)
    # Off the line that the two features share: gone, not blown up.
    unseen = X[:1] + 1e3 * np.eye(d)[:1]
    moved = np.abs(whitener.transform(unseen) - whitener.transform(X[:1])).max()
    assert moved < 1e3
    stream = Whitener(method, eps=0).partial_fit(X)
    with pytest.warns(UserWarning, match="directions map to 0"):
        stream.transform(X)
    assert len(caught) == 1
    for rows in np.array_split(np.arange(n_samples), 5):
        stream.partial_fit(X[rows]).transform(X)


def test_what_is_not_cut_is_not_warned_of():
    X = mixed(50, 5)
    X[:, 2] = 4.0
    Whitener().fit(X)
    Whitener().fit(mixed(5, 9))
    X[:, 3] = X[:, 0] + X[:, 1]
    # None of the components asked for is lost, and shrinkage fills every direction.
    Whitener(n_components=3).fit(X)
    Whitener(shrinkage=0.1).fit(X)
    Whitener("cholesky").fit(X)


def test_constant_data_maps_to_zero():
    X = np.full((5, 3), 7.0)
    for method in SPECTRAL:
        whitener = Whitener(method, eps=0).fit(X)
        np.testing.assert_array_equal(whitener.transform(X + 1), 0)
        np.testing.assert_array_equal(whitener.explained_variance_ratio_, 0)
        np.testing.assert_array_equal(
            whitener.inverse_transform(whitener.transform(X)), X
        )


@pytest.mark.parametrize("method", SPECTRAL)
@pytest.mark.parametrize("shrinkage", [None, 0.2, "oas", "ledoit_wolf"])
def test_fewer_samples_than_features(method, shrinkage):
    X = mixed(12, 40, seed=3)
    whitener = Whitener(method, eps=1e-3, shrinkage=shrinkage).fit(X)
    C = cov(X)
    scale = np.ones(40)
    if method.endswith("_cor"):
        scale = 1 / X.std(axis=0)
    M = C * np.outer(scale, scale)
    share = whitener.shrinkage_
    values, vectors = np.linalg.eigh(
        (1 - share) * M + share * np.trace(M) / 40 * np.eye(40)
    )
    weight = np.where(values > 1e-9, (np.maximum(values, 0) + 1e-3) ** -0.5, 0)
    Z = whitener.transform(X)
    if method.startswith("zca"):
        expected = scale[:, None] * (vectors * weight) @ vectors.T
        np.testing.assert_allclose(whitener.whitening_matrix(), expected, atol=1e-8)
    else:
        assert Z.shape == (12, 12)
        expected = ((X - X.mean(axis=0)) * scale) @ (vectors * weight)[:, :-12:-1]
        np.testing.assert_allclose(np.abs(Z[:, :11]), np.abs(expected), atol=1e-8)
        np.testing.assert_allclose(Z[:, 11], 0, atol=1e-12)
    np.testing.assert_allclose(
        Z, (X - whitener.mean_) @ whitener.whitening_matrix(), atol=1e-9
    )
    np.testing.assert_allclose(whitener.inverse_transform(Z), X, atol=1e-8)


def test_few_samples_make_no_matrix_of_features_by_features():
    import tracemalloc

    X = np.random.default_rng(0).normal(size=(20, 4000))
    for method in SPECTRAL:
        tracemalloc.start()
        whitener = Whitener(method).fit(X)
        whitener.inverse_transform(whitener.transform(X))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * X.nbytes < 4000**2 * 8


@pytest.mark.parametrize("shape", [(200, 6), (6, 30)])
@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        ("oas", covariance.OAS()),
        ("ledoit_wolf", covariance.LedoitWolf()),
        (0.3, covariance.ShrunkCovariance(shrinkage=0.3)),
    ],
)
def test_shrinkage_is_that_of_scikit_learn(shape, name, estimator):
    X = mixed(*shape)
    theirs = estimator.fit(X)
    ours = Whitener("zca", eps=0, shrinkage=name).fit(X)
    expected = theirs.shrinkage if name == 0.3 else theirs.shrinkage_
    assert ours.shrinkage_ == pytest.approx(expected)
    W = ours.whitening_matrix()
    np.testing.assert_allclose(np.linalg.inv(W @ W), theirs.covariance_, atol=1e-8)
    chol = Whitener("cholesky", eps=0, shrinkage=name).fit(X)
    L = chol.whitening_matrix()
    np.testing.assert_allclose(np.linalg.inv(L @ L.T), theirs.covariance_, atol=1e-8)


def test_cholesky_raises_for_a_singular_covariance():
    for X in (rank_deficient(), mixed(5, 9), np.ones((4, 2))):
        with pytest.raises(ValueError, match="Raise eps, set shrinkage"):
            Whitener("cholesky", eps=0).fit(X)
    Z = Whitener("cholesky").fit_transform(rank_deficient())
    assert np.abs(Z).max() < 100


def test_signs_are_fixed():
    X = mixed(100, 5)
    for data in (X, X[::-1], mixed(4, 9), -X):
        V = Whitener().fit(data).components_
        V = V[np.any(V, axis=1)]
        largest = np.abs(V).argmax(axis=1)
        assert (V[np.arange(len(V)), largest] > 0).all()
    # A tie in size must not be left to rounding.
    tied = np.array([[1.0, -1.0], [-1.0, 1.0], [0.1, 0.1], [-0.1, -0.1]])
    for data in (tied, tied * (1 + 1e-12), tied[::-1] * 3):
        assert (Whitener().fit(data).components_[:, 0] > 0).all()


def test_large_eps_is_warned_about():
    X = mixed(100, 3) * 1e-4
    with pytest.warns(
        UserWarning, match="eps=1e-05 exceeds the eigenvalues that account for"
    ):
        Whitener().fit(X)
    Whitener(whiten=False).fit(X)
    Whitener("pca_cor").fit(X)


def test_partial_fit_raises_for_ledoit_wolf():
    with pytest.raises(ValueError, match="Use fit, or shrinkage='oas'"):
        Whitener(shrinkage="ledoit_wolf").partial_fit(mixed(10, 3))


def test_partial_fit_pads_missing_components():
    X = mixed(20, 4)
    whitener = Whitener(n_components=3)
    for count, row in enumerate(X, start=1):
        Z = whitener.partial_fit(row[None]).transform(X)
        assert Z.shape == (20, 3)
        assert np.any(Z, axis=0).sum() == min(count - 1, 3)
    np.testing.assert_allclose(Z, Whitener(n_components=3).fit_transform(X), atol=1e-9)
    with pytest.raises(ValueError, match="exceeds n_features=4"):
        Whitener(n_components=5).partial_fit(X)


def test_parameters_changed_after_fit_change_nothing_before_the_next():
    X = np.random.default_rng(0).normal(size=(50, 4))
    whitener = Whitener(method="zca", eps=0.1).fit(X)
    back, names = whitener.dewhitening_matrix(), whitener.get_feature_names_out()
    whitener.set_params(method="pca", eps=5.0)
    np.testing.assert_array_equal(whitener.dewhitening_matrix(), back)
    np.testing.assert_array_equal(whitener.get_feature_names_out(), names)
