"""
======================
Text in hashed columns
======================

This example predicts the country of an airport from its name and city. A vectorizer
counts n-grams of letters and hashes them into the columns of a sparse matrix, and a
network is trained on this matrix. With more columns, fewer n-grams share a column, and
a fit hardly takes longer.
"""

# %%
# Names of airports
# -----------------
# The package ``airportsdata`` ships data on 28,000 airports. This example uses the
# countries with at least 200 airports, except for the United States, which have almost
# half of all.
import warnings
from time import process_time

import airportsdata
import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")

airports = list(airportsdata.load().values())
text = np.array([f"{airport['name']}, {airport['city']}" for airport in airports])
country = np.array([airport["country"] for airport in airports])
labels, counts = np.unique(country, return_counts=True)
kept = np.isin(country, labels[counts >= 200]) & (country != "US")
text_train, text_test, y_train, y_test = train_test_split(
    text[kept], country[kept], stratify=country[kept], random_state=0
)
print(f"{kept.sum():,} airports in {len(np.unique(y_train))} countries")
print(f"{(y_train == 'BR').mean():.2f} of them are in Brazil")


# %%
# From text to a network
# ----------------------
# The pipeline consists of the vectorizer and the network. Each name has about 70
# n-grams of two to four letters. A training step only reads and updates the rows of the
# first weight matrix whose columns occur in its batch.
def pipeline(n_columns):
    return make_pipeline(
        HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=n_columns),
        MLPClassifier(
            (50,), batch_size=50, learning_rate_init=3e-3, max_iter=6, random_state=0
        ),
    )


model = pipeline(2**16).fit(text_train, y_train)
print(f"test accuracy {model.score(text_test, y_test):.3f}")
print(f"W has the shape {model[-1].coefs_[0].shape}")

for name in ("Flugplatz Neustadt", "Fazenda Boa Vista", "Aérodrome du Lac"):
    shares = model.predict_proba([name])[0]
    best = np.argsort(-shares)[:3]
    likely = ", ".join(f"{model.classes_[i]} {shares[i]:.2f}" for i in best)
    print(f"{name:20} {likely}")

# %%
# The number of columns
# ---------------------
# The network cannot distinguish n-grams that share a column. The accuracy increases up
# to some ten thousand columns.
sizes = 2 ** np.arange(7, 20, 2)
accuracies, times = [], []
for n_columns in sizes:
    model = pipeline(int(n_columns))
    begin = process_time()
    model.fit(text_train, y_train)
    times.append(process_time() - begin)
    accuracies.append(model.score(text_test, y_test))

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
left.semilogx(sizes, accuracies, "o-", base=2)
left.set(xlabel="columns", ylabel="test accuracy", title="Accuracy")
right.loglog(sizes, times, "o-", base=2, label="fit, vectorizer included")
right.loglog(
    sizes,
    times[3] * sizes / sizes[3],
    "--",
    base=2,
    color="0.6",
    label="proportional to the columns",
)
right.set(xlabel="columns", ylabel="processor seconds", title="Time")
right.legend(frameon=False)
plt.show()
for n_columns, accuracy, seconds in zip(sizes, accuracies, times, strict=True):
    print(f"{n_columns:7,} columns: accuracy {accuracy:.3f}, {seconds:.1f} s")
