"""Deployment layer: the ways to run a model, each behind the `Engine` protocol."""
