"""The report of the toy problem: successes and iterations against the first step size."""
