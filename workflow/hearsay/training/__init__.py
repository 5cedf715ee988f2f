"""One training loop for every system: device, precision, seeds, checkpoints, exact resume."""
