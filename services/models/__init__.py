"""Weights of engines: the catalogue of models, their folders, and their download."""
