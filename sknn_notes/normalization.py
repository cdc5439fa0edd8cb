"""The old place of `sknn_notes.layers`."""

raise ImportError(
    "sknn_notes.normalization is now sknn_notes.layers. Import BatchNorm from there."
)
