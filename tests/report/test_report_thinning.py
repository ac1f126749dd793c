import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asng.report.figures.curves import envelope, every, smooth

SERIES = hnp.arrays(float, st.integers(0, 300), elements=st.floats(-1e6, 1e6) | st.just(np.nan))


@given(SERIES, st.integers(1, 20))
def test_an_envelope_is_short_and_keeps_the_extremes(y, bins):
    x = np.arange(len(y), dtype=float)
    kept_x, kept_y = envelope(x, y, bins)
    finite = y[np.isfinite(y)]
    assert len(kept_y) <= 2 * bins
    assert (np.diff(kept_x) > 0).all()
    np.testing.assert_array_equal(kept_y, y[kept_x.astype(int)])
    if len(finite):
        assert (kept_y.min(), kept_y.max()) == (finite.min(), finite.max())


@given(SERIES, st.floats(0.01, 1))
def test_a_running_mean_is_the_mean_of_its_window(y, share):
    x = np.arange(len(y), dtype=float)
    at, mean = smooth(x, y, share, points=50)
    finite = np.flatnonzero(np.isfinite(y))
    half = int(share * len(finite) / 2)
    assert len(at) <= 50
    for position, value in zip(at, mean, strict=True):
        middle = int(np.searchsorted(finite, position))
        window = y[finite[max(middle - half, 0) : middle + half + 1]]
        np.testing.assert_allclose(value, window.mean(), atol=1e-6)


@given(st.integers(1, 500), st.integers(2, 60))
def test_every_keeps_both_ends(n, points):
    kept = every(n, points)
    assert (kept[0], kept[-1]) == (0, n - 1)
    assert len(kept) <= points
