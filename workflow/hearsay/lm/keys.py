"""Keys of the recipe that EGRU alone has.

Apart from the presets, so that a new preset reruns no training.
"""

EGRU_KEYS = [
    "variant",
    "pseudo_derivative_width",
    "pseudo_derivative_height",
    "threshold_mean",
    "trained_thresholds",
]
