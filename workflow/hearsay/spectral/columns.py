"""The columns and statuses of an audit; imports nothing heavy."""

COLUMNS = {
    "name": "str",
    "aliases": "str",
    "kind": "str",
    "shape": "str",
    "slice": "str",
    "N": "Int64",
    "M": "Int64",
    "alpha": "float64",
    "xmin": "float64",
    "D": "float64",
    "sigma": "float64",
    "n_tail": "Int64",
    "lambda_max": "float64",
    "alpha_hat": "float64",
    "alpha_hat_normalised": "float64",
    "log_spectral_norm": "float64",
    "log_frobenius_norm": "float64",
    "stable_rank": "float64",
    "log_stable_rank": "float64",
    "status": "str",
    "reason": "str",
}
SUCCESSES = ("ok", "small_tail")
FAILURES = ("too_small", "zero", "rank_deficient", "degenerate", "not_finite", "skipped")
STATUSES = (*SUCCESSES, *FAILURES)
