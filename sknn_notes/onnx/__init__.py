"""Export to ONNX: converters that skl2onnx uses once this module is imported.

They turn fitted estimators and transformers of this library, alone or inside
scikit-learn's pipelines and searches, into graphs that onnxruntime and other runtimes
predict with, without Python's packages.
"""

try:
    import skl2onnx
except ModuleNotFoundError as error:
    raise ImportError(
        "sknn_notes.onnx needs skl2onnx, which is not installed. Install the extra: "
        'pip install "sknn_notes[onnx]"'
    ) from error

from sklearn.base import is_classifier

from sknn_notes.onnx import _network, _preprocessing

__all__ = ["to_onnx"]

_preprocessing.register()
_network.register()


def to_onnx(model, X=None, *, options=None, **keywords):
    """Convert a fitted estimator, transformer or pipeline to an ONNX model.

    This is ``skl2onnx.to_onnx``, but that a classifier's probabilities are one array,
    not a list of dictionaries.

    Parameters
    ----------
    model : estimator
        What to convert, fitted.
    X : ndarray of shape (n_samples, n_features), default=None
        Rows whose type the inputs of the graph get: float32 computes in single
        precision, float64 in double, whatever the model was trained in. May be None
        where ``initial_types`` is passed.
    options : dict, default=None
        Options of skl2onnx; None is ``{"zipmap": False}`` for classifiers.
    **keywords : dict
        Further parameters of ``skl2onnx.to_onnx``.

    Returns
    -------
    onnx_model : onnx.ModelProto
        The graph. Classifiers have the outputs ``label`` and ``probabilities``, or
        ``scores`` where the loss has no probabilities, with a column for every class.
        Regressors and transformers have the output ``variable``, always with rows and
        columns.

    Raises
    ------
    TypeError
        If the network uses an activation, loss or noise part that is not one of the
        library's.
    ValueError
        If ``marginalization="monte_carlo"``, or the inputs are not as many as in
        ``fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.onnx import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(random_state=0).fit(X, y)
    >>> graph = to_onnx(model, X[:1].astype(np.float32)).graph
    >>> [output.name for output in graph.output]
    ['label', 'probabilities']
    """
    if options is None and is_classifier(model):
        options = {"zipmap": False}
    return skl2onnx.to_onnx(model, X, options=options, **keywords)
