"""Export to ONNX: converters that skl2onnx uses once this module is imported.

They convert fitted estimators and transformers of this library, alone or inside
scikit-learn's pipelines and searches, to graphs. onnxruntime and other runtimes predict
with these graphs without any Python package.
"""

from typing import TYPE_CHECKING, Any

try:
    import skl2onnx
except ModuleNotFoundError as error:
    raise ImportError(
        "sknn_notes.onnx needs skl2onnx, which is not installed. Install it with pip "
        "install skl2onnx onnxruntime."
    ) from error

from sklearn.base import is_classifier

from sknn_notes._typing import MatrixLike
from sknn_notes.onnx import _inputs, _network, _preprocessing, _tables
from sknn_notes.onnx._inputs import Types

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["to_onnx"]

_preprocessing.register()
_network.register()
_tables.register()


def to_onnx(
    model: Any,
    X: MatrixLike | None = None,
    *,
    options: dict[Any, Any] | None = None,
    initial_types: Types | None = None,
    **keywords: Any,
) -> "ModelProto":
    """Convert a fitted estimator, transformer or pipeline to an ONNX model.

    This is ``skl2onnx.to_onnx``, except that the probabilities of a classifier are one
    array rather than a list of dictionaries, and that the precision depends on all
    inputs rather than on the first one.

    Parameters
    ----------
    model : estimator
        Fitted estimator, transformer or pipeline to convert.
    X : {ndarray, DataFrame} of shape (n_samples, n_features), default=None
        Rows that determine the types of the inputs of the graph. Each column of a
        DataFrame becomes an input. Columns of objects or categories are strings if one
        of the rows has a string. The graph computes in double precision if an input is
        float64 or an integer of 32 bits or more, otherwise in single precision. The
        precision of the training does not matter. May be None if ``initial_types`` is
        passed.
    options : dict, default=None
        Options of skl2onnx, such as ``{"output_class_labels": True}``. For classifiers,
        ``"zipmap"`` defaults to False.
    initial_types : list of tuple, default=None
        Names and types of the inputs, as in skl2onnx, instead of ``X``.
    **keywords : dict
        Further parameters of ``skl2onnx.to_onnx``.

    Returns
    -------
    onnx_model : onnx.ModelProto
        The graph. Classifiers have the outputs ``label`` and ``probabilities`` (or
        ``scores`` if the loss has no probabilities), with one column per class.
        Regressors and transformers have the two-dimensional output ``variable``.

    Raises
    ------
    TypeError
        If the network uses a custom activation, noise part or loss without a method
        ``onnx`` (for a loss, the method of its link).
    ValueError
        If ``marginalization="monte_carlo"``, the number of inputs differs from that in
        ``fit``, or ``target_opset`` is too low for a node.

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
    onnx_model: ModelProto = skl2onnx.to_onnx(
        model,
        initial_types=_inputs.in_one_precision(initial_types),
        options=options or None,
        **keywords,
    )
    _inputs.restore_types(onnx_model, initial_types)
    return onnx_model
