"""The engine: a network of layers, its objective, and the loops that minimise it.

It knows parts and arrays, but no estimator.
"""
