"""The engine: a network of layers, its objective, and the loops that minimize it.

It knows parts and arrays, but no estimator.
"""
