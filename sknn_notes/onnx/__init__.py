"""Export to ONNX: converters that skl2onnx uses once this module is imported.

They turn fitted estimators and transformers of this library, alone or inside
scikit-learn's pipelines and searches, into graphs that onnxruntime and other runtimes
predict with, without Python's packages.
"""

try:
    import skl2onnx
except ModuleNotFoundError as error:
    raise ImportError(
        "sknn_notes.onnx needs skl2onnx, which is not installed. Install it with pip "
        "install skl2onnx onnxruntime."
    ) from error

from sklearn.base import is_classifier

from sknn_notes.onnx import _inputs, _network, _preprocessing, _tables

__all__ = ["to_onnx"]

_preprocessing.register()
_network.register()
_tables.register()


def to_onnx(model, X=None, *, options=None, initial_types=None, **keywords):
    """Convert a fitted estimator, transformer or pipeline to an ONNX model.

    This is ``skl2onnx.to_onnx``, except that a classifier's probabilities are one
    array, not a list of dictionaries, and that all inputs decide on the precision, not
    the first.

    Parameters
    ----------
    model : estimator
        What to convert, fitted.
    X : {ndarray, DataFrame} of shape (n_samples, n_features), default=None
        Rows whose types the inputs of the graph get; a DataFrame makes one input of
        each column. Columns of objects and categories are strings where one of the rows
        has a string. The graph computes in single precision where float32 holds what
        the inputs can, and in double precision where one of them is float64 or has
        integers of 32 bits or more, whatever the model was trained in. May be None
        where ``initial_types`` is passed.
    options : dict, default=None
        Options of skl2onnx, such as ``{"output_class_labels": True}``; for classifiers
        with ``"zipmap": False`` unless it is among them.
    initial_types : list of tuple, default=None
        Names and types of the inputs, as in skl2onnx, in place of ``X``.
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
        If the network uses an activation, noise part or loss of your own that has no
        form in ONNX, which is its method ``onnx`` (of a loss, that of its link).
    ValueError
        If ``marginalization="monte_carlo"``, the inputs are not as many as in ``fit``,
        or ``target_opset`` is lower than a node needs.

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
    options = options or {}
    by_name = all(isinstance(key, str) for key in options)
    if is_classifier(model) and by_name:
        options = {"zipmap": False, **options}
    if initial_types is None:
        initial_types = _inputs.types_of(X)
    onnx_model = skl2onnx.to_onnx(
        model,
        initial_types=_inputs.in_one_precision(initial_types),
        options=options or None,
        **keywords,
    )
    _inputs.restore_types(onnx_model, initial_types)
    return onnx_model
