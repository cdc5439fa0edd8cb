"""Data on a device, of networks that are trained side by side."""

import copy
from typing import Any

import numpy as np

from sknn_notes._arrays import arange, namespace, numpy_dtype, random_words
from sknn_notes._engine.rows import matrix_and_index

# Fraction of the free memory that inputs may use; larger inputs are sent in blocks.
_SHARE_OF_MEMORY = 0.4
# Elements of a block of inputs.
_BLOCK_SIZE = 2**24
# Maximum number of shuffles per epoch on the host; more are made on the device.
_MOST_SHUFFLES = 64


class Shuffles:
    """Random generators of several trainings; equal ones draw only once.

    Parameters
    ----------
    members : list of (Generator, int, tuple of bool)
        Generator of each training, its number of rows, and for which random layers it
        draws keys. All of these have to be equal for the same states.

    Attributes
    ----------
    of_member : ndarray of int of shape (n_members,)
        Index of the generator of each training in ``different``.
    different : list of (Generator, int, tuple of bool)
    """

    def __init__(self, members):
        places: dict[tuple, int] = {}
        keys = [(repr(rng.bit_generator.state), *rest) for rng, *rest in members]
        self.of_member = np.array([places.setdefault(k, len(places)) for k in keys])
        _, first = np.unique(self.of_member, return_index=True)
        # Copies, since the generator of a finished training must not change.
        self.different = [copy.deepcopy(members[i]) for i in first]
        self._members = members

    def leave(self, index):
        """Set the generator of a training to the state of the shared one."""
        common, *_ = self.different[self.of_member[index]]
        self._members[index][0].bit_generator.state = common.bit_generator.state

    def keys(self, n_steps):
        """Return the keys of the random layers, shape (n_steps, n_keys, n_different).

        They are 0 if a training draws none.
        """
        drawn = []
        for rng, _, draws in self.different:
            keys = np.zeros((n_steps, len(draws)), np.uint64)
            words = rng.bit_generator.random_raw(n_steps * sum(draws))
            keys[:, list(draws)] = words.reshape(n_steps, -1)
            drawn.append(keys.view(np.int64))
        return np.stack(drawn, axis=-1)

    def seeds(self):
        """Return a random 64-bit number from each generator."""
        drawn = [rng.bit_generator.random_raw() for rng, *_ in self.different]
        return np.array(drawn, np.uint64).view(np.int64)


def source_of(batches):
    """Return a key that identifies the rows of batches."""
    if batches.source is None:
        batches.source = _source_of(batches)
    return batches.source


def _source_of(batches):
    X, index = matrix_and_index(batches.X)
    arrays = index, batches.y, batches.sample_weight
    return id(X), *(None if a is None else hash(a.tobytes()) for a in arrays)


class Inputs:
    """Concatenated matrices on a device.

    Parameters
    ----------
    matrices : list of array
    device : Device
    dtype : dtype

    Attributes
    ----------
    X : tensor
    starts : dict of int to int
        First row of each matrix, by its id.
    """

    def __init__(self, matrices, device, dtype):
        self.X = device.joined(matrices, dtype)
        ends = np.cumsum([0, *(X.shape[0] for X in matrices)]).tolist()
        self.starts = dict(zip(map(id, matrices), ends[:-1], strict=True))


class StackedData:
    """Inputs, targets and weights on a device, and the order of their rows.

    Members with equal rows and generators share their batches.

    Parameters
    ----------
    members : list of Batches
        Batches of the same signature.
    shuffles : Shuffles
    device : Device
    inputs : Inputs, default=None
        Inputs that are already on the device.

    Attributes
    ----------
    n_samples : ndarray of int of shape (n_members,)
    n_rows : int
        The largest number of samples; last batches of other members are padded.
    block : int
        Number of batches whose inputs are on the device at a time.
    inputs : Inputs or None
        None if inputs are sent block by block.
    """

    def __init__(self, members, shuffles, device, inputs=None):
        self.device, self._shuffles = device, shuffles
        self.first = first = members[0]
        self.n_samples = np.array([batches.n_samples for batches in members])
        places: dict[tuple, int] = {}
        of_member = [places.setdefault(source_of(x), len(places)) for x in members]
        starts = [of_member.index(i) for i in range(len(places))]
        self._sources = [members[i] for i in starts]
        # Pairs of data and generator, each with its order of rows, and that of members.
        pairs: dict[tuple, int] = {}
        keys = zip(of_member, shuffles.of_member.tolist(), strict=True)
        of_pair = [pairs.setdefault(key, len(pairs)) for key in keys]
        self._pairs = list(pairs)
        self.are_shared = len(pairs) == 1
        self._of_pair = device.array(np.array(of_pair))
        self._is_own = of_pair == list(range(len(of_pair)))
        self.n_rows = max(batches.n_samples for batches in self._sources)
        self._place(first, inputs)
        n = self.n_rows if self.are_shared else (len(pairs), self.n_rows)
        self._order = device.zeros(n, "int64")
        self._fill_up()

    def _place(self, first, inputs):
        """Copy the inputs, targets and weights to the device."""
        device, sources = self.device, self._sources
        lengths = [batches.n_samples for batches in sources]
        self._starts = np.cumsum([0, *lengths[:-1]])
        self._y = device.joined([batches.y for batches in sources])
        weights = [batches.sample_weight for batches in sources]
        self._weight = None if weights[0] is None else device.joined(weights)
        found = [matrix_and_index(batches.X) for batches in sources]
        matrices = list({id(X): X for X, _ in found}.values())
        self._dtype = dtype = numpy_dtype(first.X)
        self.inputs: Any = inputs
        self._rows: Any = None
        if inputs is None:
            size = sum(X.shape[0] * X.shape[1] for X in matrices) * dtype.itemsize
            fits = size <= _SHARE_OF_MEMORY * device.free_memory()
            if fits or all(map(device.has, matrices)):
                self.inputs = Inputs(matrices, device, dtype)
        if self.inputs is None:
            self._check_streamed()
            n_batches = _BLOCK_SIZE // (first.X.shape[1] * first.max_rows)
            self.block = max(1, min(first.n_batches, n_batches))
            self._stream = device.stream(first, self.block * first.max_rows)
            return
        self.block, self._stream = first.n_batches, None
        starts = [self.inputs.starts[id(X)] for X, _ in found]
        if starts != self._starts.tolist() or any(i is not None for _, i in found):
            rows = [
                start + (np.arange(X.shape[0]) if index is None else index)
                for start, (X, index) in zip(starts, found, strict=True)
            ]
            self._rows = device.joined(rows)

    def _check_streamed(self):
        if not self.are_shared:
            raise MemoryError(
                f"The inputs of these trainings differ, and take more than "
                f"{_SHARE_OF_MEMORY:.0%} of the free memory of {self.device!r}. Use "
                "fewer folds at a time, or train on the CPU: device='cpu'."
            )

    def _fill_up(self):
        """Compute the weights of the rows of padded last batches, if any."""
        last = self.first.starts[-1]
        counts = self.n_samples - last
        self._filling: Any = None
        self._counts: Any = None
        if np.all(counts == counts[0]):
            return
        size = self.n_rows - last
        inside = np.arange(size) < counts[:, None]
        weights = inside * (size / counts[:, None])
        self._filling = self.device.array(weights.astype(self._dtype))
        self._counts = self.device.array(counts.astype(float))

    def is_filled(self, index):
        """Tell whether a batch is padded for some members."""
        return self._filling is not None and index == self.first.n_batches - 1

    def n_rows_of(self, size, is_filled):
        """Return the number of rows of a batch for each member, without padding."""
        return self._counts if is_filled else size

    def tensors(self):
        """Return the tensors that change between steps, and those of the data."""
        found = [self._order, self._y, self._weight, self._rows, self._of_pair]
        found += [self._filling, self._counts]
        found += [self.inputs.X] if self._stream is None else self._stream.tensors()
        return [tensor for tensor in found if tensor is not None]

    def shuffle(self):
        """Draw the order of the rows of an epoch."""
        batches = self.first
        lengths = [each.n_samples for each in self._sources]
        if not batches.shuffle:
            orders = [np.arange(lengths[source]) for source, _ in self._pairs]
        elif len(self._shuffles.different) > _MOST_SHUFFLES:
            self._order[...] = self._shuffled(self._shuffles.seeds(), lengths)
            return
        else:
            drawn = [rng.permutation(n) for rng, n, _ in self._shuffles.different]
            orders = [drawn[generator] for _, generator in self._pairs]
        order = np.zeros((len(orders), self.n_rows), np.int64)
        for row, (source, _), own in zip(order, self._pairs, orders, strict=True):
            row[: len(own)] = own
            row += self._starts[source]
        self._host_order = order[0]
        self._order[...] = self.device.array(order[0] if self.are_shared else order)

    def _shuffled(self, keys, lengths):
        """Return random orders of the rows, which sort random words."""
        array, torch = self.device.array, self.device.torch
        sources = np.array([source for source, _ in self._pairs])
        own = array(keys[[generator for _, generator in self._pairs]][:, None])
        places = array(np.arange(self.n_rows))
        words = random_words(own, places, namespace(places))
        filled = places >= array(np.array(lengths)[sources][:, None])
        words = torch.where(filled, 2**33, words)
        order = torch.argsort(words, dim=-1, stable=True)
        order = torch.where(torch.gather(filled, 1, order), 0, order)
        return order + array(self._starts[sources][:, None])

    def batch(self, position, size, is_filled):
        """Return the inputs, targets and weights of a batch.

        Parameters
        ----------
        position : tensor of int64 of shape ()
            Position of the first row in the epoch.
        size : int
            Number of rows.
        is_filled : bool
            Whether the batch is padded for some members.
        """
        at = position + arange(size, position, namespace(position))
        rows = self._order.index_select(-1, at)
        if self._stream is not None:
            X = self._stream.rows(at)
        else:
            places = rows if self._rows is None else self._rows[rows]
            X = self._take(self.inputs.X, places)
        weight = None if self._weight is None else self._take(self._weight, rows)
        if is_filled:
            filling = self._filling
            weight = filling if weight is None else filling * weight
        return X, self._take(self._y, rows), weight

    def _take(self, array, rows):
        """Return rows of an array, those of each model if they differ."""
        found = array[rows]
        if self.are_shared or self._is_own:
            return found
        return found.index_select(0, self._of_pair)

    def send(self, start, stop):
        """Send the inputs from ``start`` to ``stop``, if they are sent in blocks."""
        if self._stream is not None:
            self._stream.send(self._host_order, start, stop)
