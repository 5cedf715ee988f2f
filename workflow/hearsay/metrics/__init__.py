"""Scores of what the systems produce; knows no system."""
