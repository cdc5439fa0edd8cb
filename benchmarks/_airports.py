"""Airports of the world, from airportsdata: many classes, and short texts."""

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import train_test_split


class Airports:
    """Locations and names of airports.

    Attributes
    ----------
    places : ndarray of shape (n_airports, 3)
        Longitude and latitude in degrees, elevation in feet.
    text : list of str
        Name and city.
    zones, divisions : ndarray of str
        Time zone, as in "America/Lima"; country and its division, as in "PE, Lima".
    """

    def __init__(self):
        import airportsdata

        airports = list(airportsdata.load().values())
        self.places = np.array(
            [(each["lon"], each["lat"], each["elevation"]) for each in airports],
            np.float32,
        )
        self.text = [f"{each['name']} {each['city']}" for each in airports]
        self.zones = np.array([each["tz"] for each in airports])
        self.divisions = np.array(
            [f"{each['country']}, {each['subd']}" for each in airports]
        )

    def located(self, task, seed):
        """Return places and classes of three quarters for training, and of the others.

        Classes with a single airport are excluded.
        """
        classes = getattr(self, task)
        _, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(counts[codes] > 1)
        train, test = train_test_split(
            rows, test_size=0.25, random_state=seed, stratify=codes[rows]
        )
        return self.places[train], self.places[test], classes[train], classes[test]

    def trigrams(self, n_samples, n_columns):
        """Return hashed trigrams and regions, such as America, for training and test.

        The sets have ``n_samples`` airports and a quarter of that number.
        """
        rows = np.random.default_rng(0).permutation(len(self.text))
        rows = rows[: n_samples + n_samples // 4]
        vectorizer = HashingVectorizer(
            analyzer="char_wb", ngram_range=(3, 3), n_features=n_columns
        )
        X = vectorizer.transform([self.text[i] for i in rows])
        y = np.array([self.zones[i].split("/")[0] for i in rows])
        return X[:n_samples], X[n_samples:], y[:n_samples], y[n_samples:]


def geographic_tree(y, places):
    """Return a tree that halves the classes from west to east or from south to north.

    The location of a class is the mean over its airports. A set of classes is halved
    along the coordinate with the larger range in kilometers.
    """
    labels = np.unique(y)
    centers = np.array([places[y == label, :2].mean(axis=0) for label in labels])
    # Degrees of longitude are shorter away from the equator.
    centers[:, 0] *= np.cos(np.radians(centers[:, 1]))

    def tree(members):
        if len(members) == 1:
            return labels[members[0]].item()
        widest = np.ptp(centers[members], axis=0).argmax()
        ordered = members[np.argsort(centers[members, widest], kind="stable")]
        half = (len(ordered) + 1) // 2
        return tree(ordered[:half]), tree(ordered[half:])

    return tree(np.arange(len(labels)))
