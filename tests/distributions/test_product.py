"""The product over a whole space."""

import numpy as np
import pytest

from asng.distributions import Product, ThetaView
from asng.space import Categorical, Integer, Real, Space

SPACE = Space(
    {
        "r": Real(0.0, 1.0),
        "a": Categorical(["x", "y", "z"]),
        "k": Integer(5, 5, log=True),
        "i": Integer(1, 9),
        "b": Categorical([True, False]),
    }
)


def test_special_case_equals_general_class():
    """A space of one kind gives the same draws and gradients as within a mixed one."""
    mixed, alone = Product(SPACE), Product(Space({"a": SPACE["a"], "b": SPACE["b"]}))
    u, w = np.random.default_rng(0).random((4, 4)), np.array([1.0, 0.0, 0.0, -1.0])
    x, y = mixed.sample(mixed.initial(), u), alone.sample(alone.initial(), u[:, :2])
    np.testing.assert_array_equal(x[:, [1, 4]], y)
    np.testing.assert_array_equal(
        mixed.natural_gradient(mixed.initial(), x, w).p, alone.natural_gradient(alone.initial(), y, w).p
    )


def test_columns_come_in_the_order_of_the_space():
    product = Product(SPACE)
    x = product.sample(product.initial(), np.full((1, 4), 0.5))
    np.testing.assert_allclose(x, [[0.5, 1.0, np.log(5), 5.0, 1.0]])
    np.testing.assert_allclose(product.mode(product.initial()), [0.5, 0.0, np.log(5), 5.0, 0.0])


def test_uniform_points_lie_in_the_space():
    product = Product(SPACE)
    for row in product.uniform(np.random.default_rng(0).random((50, 4))):
        SPACE.check(SPACE.decode(row))


def test_degrees_of_freedom_leave_constants_out():
    product = Product(SPACE)
    assert (product.n_theta, product.n_free) == (2 + 1 + 2 * 2, 4)


def test_numbers_of_variables_are_spread_over_their_coordinates_and_degrees():
    product, values = Product(SPACE), np.array([0.5, 1.0, 9.0, 0.25, 0.75])
    p, first, second = product.spread(values)
    np.testing.assert_array_equal(p, [1.0, 1.0, 1.0, 0.75, 0.75])
    np.testing.assert_array_equal([first, second], [[0.5, 0.25]] * 2)
    assert product.degrees(values) == 1.0 * 2 + 0.75 * 1 + 2 * (0.5 + 0.25)
    assert product.degrees(np.ones(5)) == product.n_theta


@pytest.mark.parametrize("column", [0, 1])
def test_unfit_coordinates_are_noticed(column):
    product = Product(SPACE)
    x = product.sample(product.initial(), np.full((2, 4), 0.5))
    assert product.is_fit(x)
    x[1, column] = np.inf
    assert not product.is_fit(x)


def test_the_view_of_theta_is_a_mapping_by_name():
    product = Product(SPACE)
    view = ThetaView(product, product.initial())
    assert (list(view), len(view)) == (list(SPACE), 5)
    assert view["k"] == (np.log(5), 0.0)
    assert view["i"] == (5.0, 4.0)
    np.testing.assert_array_equal(view["b"], [0.5, 0.5])
    assert "'i': (5, 4)" in repr(view)
