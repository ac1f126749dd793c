"""Matrix products and inverses in pieces so small that no BLAS divides them among threads.

The last bits of a large product depend on how many threads share it, but a search must not depend on them.
OpenBLAS uses one thread for products of up to 64^3 multiplications and for factors of fewer than 64 rows.
"""

import numpy as np

from asng.distributions import Floats

__all__ = ["inverse", "times"]

_SIDE = 48
_MOST = 64**3


def times(a: Floats, b: Floats) -> Floats:
    """Return the matrix product of a, shape (m, k), and b, shape (k, n)."""
    (m, k), n = a.shape, b.shape[1]
    if m * k * n <= _MOST:
        return np.asarray(a @ b)
    rows = max(2, _MOST // (k * n))
    if rows * k * n > _MOST:  # too large even for two rows: split columns
        half = n // 2
        return np.concatenate((times(a, b[:, :half]), times(a, b[:, half:])), axis=1)
    whole = m - m % rows
    product = np.empty((m, n))
    np.matmul(a[:whole].reshape(-1, rows, k), b, out=product[:whole].reshape(-1, rows, n))
    if whole < m:
        product[whole:] = a[whole:] @ b
    return product


def inverse(a: Floats) -> tuple[Floats, float]:
    """Return the inverse of a positive definite matrix, and the logarithm of its determinant.

    If rounding makes it indefinite, a multiple of the mean of its diagonal is added to the diagonal: the
    smallest of 1e-8, 1e-7, ... that suffices.

    Raises:
        LinAlgError: The matrix is far from positive definite, or not finite.

    Example:
        >>> inverted, log_det = inverse(np.diag([2.0, 4.0]))
        >>> inverted.diagonal().round(6).tolist(), round(float(np.exp(log_det)), 6)
        ([0.5, 0.25], 8.0)
    """
    try:
        return _by_blocks(a)
    except np.linalg.LinAlgError:
        more = np.eye(len(a)) * float(a.diagonal().mean())
    for exponent in range(-8, 0):
        try:
            return _by_blocks(a + 10.0**exponent * more)
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("expected a positive definite matrix, got one that is far from it.")


def _by_blocks(a: Floats) -> tuple[Floats, float]:
    """Invert the first block and the Schur complement of the last, each recursively by blocks."""
    n = len(a)
    if n <= _SIDE:
        root = np.linalg.cholesky(a)
        half = np.linalg.inv(root)
        return np.asarray(half.T @ half), 2.0 * float(np.log(root.diagonal()).sum())
    cut = _SIDE * ((n // 2 + _SIDE - 1) // _SIDE)
    first, first_log_det = _by_blocks(a[:cut, :cut])
    across = times(first, a[:cut, cut:])
    schur = a[cut:, cut:] - times(a[cut:, :cut], across)
    last, last_log_det = _by_blocks(0.5 * (schur + schur.T))
    inverted = np.empty((n, n))
    corner = times(across, last)
    inverted[:cut, :cut] = first + times(corner, across.T)
    inverted[:cut, cut:], inverted[cut:, :cut] = -corner, -corner.T
    inverted[cut:, cut:] = last
    return inverted, first_log_det + last_log_det
