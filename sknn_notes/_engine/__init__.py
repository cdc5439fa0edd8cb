"""The engine: a network of layers, its objective, and the training loops.

It uses parts and arrays, but no estimator.
"""
