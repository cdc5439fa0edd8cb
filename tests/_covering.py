"""Combinations of values in which every pair of values occurs."""

from itertools import combinations, product

import numpy as np


def covering(domains, seed=0):
    """Return dicts of values in which every pair of values occurs together."""
    names, rng = list(domains), np.random.default_rng(seed)
    missing = {
        ((a, i), (b, j))
        for a, b in combinations(names, 2)
        for i, j in product(range(len(domains[a])), range(len(domains[b])))
    }
    cases = []
    while missing:
        # Start from a pair that is missing; choose each other value to cover most.
        chosen = dict(min(missing))
        for name in rng.permutation([n for n in names if n not in chosen]):
            gains = [
                sum(
                    tuple(sorted(((name, i), pair), key=lambda p: names.index(p[0])))
                    in missing
                    for pair in chosen.items()
                )
                for i in range(len(domains[name]))
            ]
            best = np.flatnonzero(np.array(gains) == max(gains))
            chosen[name] = int(rng.choice(best))
        pairs = sorted(chosen.items(), key=lambda p: names.index(p[0]))
        missing -= set(combinations(pairs, 2))
        cases.append({name: domains[name][i] for name, i in chosen.items()})
    return cases
