"""
=======================
Data larger than memory
=======================

A whitener and a network are fitted on a file of images that is larger than the memory
limit. Then both are fitted on a stream that is never stored.
"""

# %%
# A file of images
# ----------------
# Each row is a handwritten digit at a random position in an image of 14 by 14 pixels.
# The rows are written to a file in chunks, as bytes. The whitened training set of the
# network is a second file, in float32.
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, Whitener

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
LIMIT, MB = 32e6, 1e6
N_ROWS, N_CHUNK, SIDE = 350_000, 5_000, 14

digits, labels = load_digits(return_X_y=True)
known, unknown = np.arange(1200), np.arange(1200, len(digits))


def draw(n, which, rng):
    """Return images of digits at random places, and their classes."""
    chosen = rng.choice(which, n)
    down, right = rng.integers(0, SIDE - 7, size=(2, n))
    canvas = np.zeros((n, SIDE, SIDE), np.uint8)
    rows = down[:, None, None] + np.arange(8)[:, None]
    columns = right[:, None, None] + np.arange(8)
    canvas[np.arange(n)[:, None, None], rows, columns] = digits[chosen].reshape(n, 8, 8)
    return canvas.reshape(n, -1), labels[chosen]


def chunks(n):
    """Yield slices of ``N_CHUNK`` rows."""
    for start in range(0, n, N_CHUNK):
        yield slice(start, min(start + N_CHUNK, n))


folder = tempfile.TemporaryDirectory()
images, whitened = (Path(folder.name) / name for name in ("images", "whitened"))
shape, rng = (N_ROWS, SIDE**2), np.random.default_rng(0)
X, y = np.memmap(images, np.uint8, "w+", shape=shape), np.empty(N_ROWS, np.int64)
for rows in chunks(N_ROWS):
    X[rows], y[rows] = draw(N_CHUNK, known, rng)
X_test, y_test = draw(10_000, unknown, rng)

# %%
# Whiten, then train
# ------------------
# ``fit`` of a whitener reads and converts a memory map block by block. ``transform``
# returns an array in memory, so it is called for one chunk of rows at a time. The
# network reads each batch from the second file. The tenth of the rows that early
# stopping holds out is not copied.
#
# Compiled code is loaded when it is first used. A call on a few random numbers excludes
# it from the measurements.
X = np.memmap(images, np.uint8, "r", shape=shape)
whitener, model = Whitener(eps=0.1), MLPClassifier((64,), early_stopping=True)
model.set_params(max_iter=4, random_state=0)
few = whitener.fit_transform(rng.normal(size=(500, SIDE**2)))
model.fit(few.astype(np.float32), y[:500])

tracemalloc.start()
peaks = {}
whitener.fit(X)
peaks["fit the whitener"] = tracemalloc.get_traced_memory()[1]

tracemalloc.reset_peak()
Z = np.memmap(whitened, np.float32, "w+", shape=shape)
for rows in chunks(N_ROWS):
    Z[rows] = whitener.transform(X[rows])
Z.flush()
peaks["whiten into a file"] = tracemalloc.get_traced_memory()[1]

tracemalloc.reset_peak()
Z = np.memmap(whitened, np.float32, "r", shape=shape)
model.fit(Z, y)
peaks["train the network"] = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()

for name, array in {"images": X, "whitened images": Z}.items():
    print(f"{name:20} {array.nbytes / MB:4.0f} MB in a file")
for name, peak in peaks.items():
    print(f"{name:20} {peak / MB:4.0f} MB of memory at most")
    assert peak < LIMIT
Z_test = whitener.transform(X_test).astype(np.float32)
print(f"accuracy on test digits {model.score(Z_test, y_test):.3f}")

# %%
# A stream
# --------
# If the data arrive in chunks, use ``partial_fit`` of both. The whitener is fitted on
# the first chunks only: if it changed later, the inputs of the network would change as
# well.
stream_whitener = Whitener(eps=0.1)
stream_model = MLPClassifier((64,), dtype="float32", random_state=0)
seen, accuracy = [], []
for i in range(80):
    X_chunk, y_chunk = draw(N_CHUNK, known, rng)
    if i < 10:
        stream_whitener.partial_fit(X_chunk)
        continue
    stream_model.partial_fit(
        stream_whitener.transform(X_chunk), y_chunk, classes=range(10)
    )
    seen.append(stream_model.t_)
    Z_test = stream_whitener.transform(X_test)
    accuracy.append(stream_model.score(Z_test, y_test))

# %%
# Results
# -------
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
sizes = {"whitened images, in a file": Z.nbytes} | peaks
bars = left.barh(list(sizes), np.array(list(sizes.values())) / MB)
bars[0].set_color("0.7")
left.axvline(LIMIT / MB, color="C2", linestyle="--", label="limit")
left.invert_yaxis()
left.set(xlabel="MB", title="Memory")
left.legend(frameon=False)
right.plot(np.array(seen) / 1000, accuracy, "o-", markersize=3)
right.set(xlabel="thousands of rows seen", ylabel="test accuracy", title="A stream")
print(f"accuracy after {seen[-1]:,} rows of the stream {accuracy[-1]:.3f}")

# %%
# Clean up
# --------
# The files can be deleted when they are no longer mapped.
del X, Z, rows
folder.cleanup()
