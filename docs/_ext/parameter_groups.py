"""Show the parameters of the networks in groups, each linked to its chapter."""

from docutils import nodes
from sphinx import addnodes

# Title of a group, its chapter, and the parameters in it.
GROUPS = [
    (
        "Network",
        "user_guide/training",
        "hidden_layer_sizes n_hidden_layers activation batch_norm layer_norm residual",
    ),
    ("Initialization", "user_guide/initialization", "init bias_init"),
    ("Embedding", "user_guide/embeddings", "embedding feature_scaling"),
    (
        "Regularization",
        "user_guide/regularization",
        "alpha penalty l1_ratio penalize_bias max_norm dropout input_dropout "
        "dropconnect dropout_scaling marginalization n_mc_samples",
    ),
    ("Noise", "user_guide/noise", "augment"),
    ("Loss", "user_guide/losses", "loss class_weight standardize_target"),
    (
        "Optimizer",
        "user_guide/solvers",
        "solver learning_rate_init batch_size shuffle momentum nesterovs_momentum "
        "beta_1 beta_2 epsilon clip_norm max_fun",
    ),
    ("Learning rate schedule", "user_guide/solvers", "learning_rate power_t"),
    (
        "Stopping",
        "user_guide/training",
        "max_iter tol n_iter_no_change early_stopping validation_fraction scoring",
    ),
    ("Several networks", "user_guide/ensembles", "n_networks n_jobs"),
    ("Data and device", "user_guide/gpu", "dtype device"),
    ("Running", "user_guide/training", "random_state verbose warm_start"),
]
GROUPED = {"sknn_notes.MLPClassifier", "sknn_notes.MLPRegressor"}


def heading(app, title, chapter):
    """Return the line above a group, a link to its chapter."""
    link = addnodes.pending_xref(
        "",
        nodes.inline("", title),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{chapter}",
        refexplicit=True,
        refwarn=True,
        refdoc=app.env.docname,
    )
    return nodes.paragraph("", "", link, classes=["parameter-group"])


def group(app, parameters):
    """Return the lists of parameters that take the place of one, with headings."""
    items = {item[0][0].astext(): item for item in parameters}
    grouped = []
    for title, chapter, names in GROUPS:
        found = [items.pop(name) for name in names.split() if name in items]
        grouped.append(heading(app, title, chapter))
        grouped.append(nodes.definition_list("", *found, classes=["simple"]))
    if items:
        raise ValueError(f"parameters without a group in {__file__}: {sorted(items)}")
    return grouped


def group_parameters(app, doctree):
    """Group the parameters on the pages of the networks."""
    for description in doctree.findall(addnodes.desc):
        ids = set(description[0].get("ids", ()))
        if not ids & GROUPED:
            continue
        # The fields of the class come before those of its methods.
        field = next(description.findall(nodes.field))
        (parameters,) = field[1].children
        field[1].children = []
        field[1] += group(app, parameters)


def setup(app):
    app.connect("doctree-read", group_parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
