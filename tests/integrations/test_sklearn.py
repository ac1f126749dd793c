"""The estimators for tables: scikit-learn's own checks, and real data."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import asng
from asng.errors import InputError
from asng.integrations.sklearn import ASNGClassifier, ASNGRegressor

QUICK = {"epochs": 2, "retrain_epochs": 10, "random_state": 0}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::sklearn")
@parametrize_with_checks([ASNGClassifier(**QUICK), ASNGRegressor(**QUICK)])
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def wine():
    """Rows of numbers and names of classes, and a classifier of them."""
    x, y = load_wine(return_X_y=True)
    names = np.array(["rot", "weiss", "rosé"])[y]
    split = train_test_split(x, names, random_state=0, stratify=names)
    found = ASNGClassifier(epochs=6, retrain_epochs=30, random_state=0).fit(split[0], split[2])
    return split, found


def test_labels_are_words_and_most_are_right(wine):
    (_, x, _, names), found = wine
    assert list(found.classes_) == ["rosé", "rot", "weiss"]
    assert set(found.predict(x)) <= set(found.classes_)
    assert found.score(x, names) > 0.9


def test_probabilities_sum_to_one_and_agree_with_the_labels(wine):
    (_, x, _, _), found = wine
    shares = found.predict_proba(x)
    assert shares.shape == (len(x), 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (found.classes_[shares.argmax(axis=1)] == found.predict(x)).all()


def test_the_network_is_plain_torch_of_the_found_architecture(wine):
    _, found = wine
    assert found.architecture_["width"] in range(16, 129, 16)
    assert not any(type(module).__module__.startswith("asng") for module in found.module_.modules())


def test_a_pickled_estimator_predicts_the_same(wine):
    (_, x, _, _), found = wine
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - scikit-learn's way, of our own bytes
    assert (again.predict_proba(x) == found.predict_proba(x)).all()


def test_a_clone_has_the_arguments_and_nothing_of_the_fit(wine):
    _, found = wine
    twin = clone(found)
    assert twin.get_params() == found.get_params()
    assert not hasattr(twin, "module_")


def test_the_same_seed_finds_and_predicts_the_same():
    x, y = load_breast_cancer(return_X_y=True)
    first, second = (ASNGClassifier(**QUICK).fit(x[:100], y[:100]) for _ in range(2))
    assert first.architecture_ == second.architecture_
    assert (first.predict_proba(x) == second.predict_proba(x)).all()


def test_frames_keep_their_names_and_others_are_refused():
    pandas = pytest.importorskip("pandas")
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    found = ASNGClassifier(**QUICK).fit(x[:100], y[:100])
    assert list(found.feature_names_in_) == list(x.columns)
    assert isinstance(found.predict(x), np.ndarray)
    with pytest.raises(ValueError, match="feature names"):
        found.predict(x.rename(columns={"mean radius": "radius"}))
    table = pandas.DataFrame({"colour": ["red", "blue", "green"] * 10})
    coded = make_pipeline(
        OneHotEncoder(sparse_output=False), ASNGClassifier(**{**QUICK, "retrain_epochs": 40})
    )
    assert coded.fit(table, table["colour"]).score(table, table["colour"]) == 1.0


def test_a_regressor_explains_real_targets():
    x, y = load_diabetes(return_X_y=True)
    x, held, y, target = train_test_split(x, y, random_state=0)
    found = ASNGRegressor(epochs=8, retrain_epochs=20, random_state=0).fit(x, y)
    assert found.predict(held).shape == target.shape
    assert found.score(held, target) > 0.15


def test_several_targets_are_predicted_together():
    x, _ = load_diabetes(return_X_y=True)
    y = np.stack([x[:, 0] * 1000, x[:, 1] - 7, np.full(len(x), 3.0)], axis=1)
    found = ASNGRegressor(epochs=2, retrain_epochs=20, random_state=0).fit(x, y)
    assert found.predict(x).shape == y.shape
    np.testing.assert_allclose(found.predict(x)[:, 2], 3.0, atol=0.2)
    assert np.corrcoef(found.predict(x)[:, 0], y[:, 0])[0, 1] > 0.9


class Own(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        width = asng.Integer(2, 8, label="width")
        self.layers = nn.Sequential(asng.nn.Linear(features, width), nn.ReLU(), asng.nn.Linear(8, outputs))

    def forward(self, x):
        return self.layers(x)


def test_another_space_can_be_given():
    x, y = load_wine(return_X_y=True)
    found = ASNGClassifier(model=Own, **QUICK).fit(x, y)
    assert list(found.architecture_) == ["width"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"epochs": 0}, "epochs: expected an integer >= 1"),
        ({"retrain_epochs": 0.5}, "retrain_epochs: expected an integer"),
        ({"batch_size": 1}, "batch_size: expected an integer >= 2"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected a number"),
        ({"model": "mlp"}, "model: expected a function of the numbers of columns and outputs, got 'mlp'"),
    ],
)
def test_arguments_are_checked_when_it_is_fitted(settings, told):
    x, y = load_wine(return_X_y=True)
    with pytest.raises(InputError, match=told):
        ASNGClassifier(**settings).fit(x, y)


@pytest.mark.parametrize("rows", [2, 3, 17, 33])
def test_few_rows_and_rare_classes_are_taken(rows):
    x, _ = load_breast_cancer(return_X_y=True)
    labels = np.array(["rare"] + ["common"] * (rows - 1))
    found = ASNGClassifier(epochs=1, retrain_epochs=1, batch_size=16, random_state=0).fit(x[:rows], labels)
    assert found.predict(x[:rows]).shape == (rows,)


@pytest.mark.parametrize("rows", [16, 17])
def test_a_large_validation_fraction_leaves_two_rows_to_train(rows):
    x, y = load_diabetes(return_X_y=True)
    estimator = ASNGRegressor(epochs=8, retrain_epochs=1, validation_fraction=0.9, random_state=0)
    assert estimator.fit(x[:rows], y[:rows]).predict(x).shape == y.shape
