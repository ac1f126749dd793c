"""What objects say of themselves, as words, in a notebook, as tables and as figures."""

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from problems import fit, layers, searcher

import asng
from asng.errors import InputError
from asng.report import read_log
from asng.runs.folder import LOG
from asng.shown import html_table
from asng.space import Categorical, Integer, Real, Space

matplotlib.use("Agg")

WHEN = st.sampled_from([(), {"kernel": ["poly", "rbf"]}, {"a": [1], "b": ["x", None]}])
OTHERS = {"log": st.booleans(), "when": WHEN, "label": st.none() | st.text(max_size=3)}
CHOICES = st.lists(st.text(max_size=4), min_size=1, max_size=8, unique=True)
VARIABLES = st.one_of(
    st.builds(Categorical, CHOICES, when=WHEN),
    st.builds(
        lambda low, n, step, **others: Integer(low, low + n * step, step=step, **others),
        *(st.integers(1, 9), st.integers(0, 9), st.integers(1, 3)),
        **OTHERS,
    ),
    st.builds(
        lambda low, wide, **others: Real(low, low + wide, **others),
        st.floats(0.1, 9),
        st.floats(0, 9),
        **OTHERS,
    ),
)


@given(VARIABLES)
def test_a_variable_is_written_as_it_would_be_made(variable):
    made = eval(repr(variable), {"Categorical": Categorical, "Integer": Integer, "Real": Real})
    assert made == variable
    assert made.label == variable.label
    assert "=None" not in repr(variable)


def mixed(wide=2):
    return Space({"x": Real(-5.0, 5.0), **{f"k{i}": Categorical(["<a>", "b"]) for i in range(wide)}})


def several_losses(a):
    return {"near": a["x"] ** 2, "far": (a["x"] - 2.0) ** 2}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown") / "run"
    return asng.minimize(lambda a: a["x"] ** 2 + (a["k0"] == "b"), mixed(), 40, run_dir=folder)


@pytest.mark.parametrize("wide", [40, 400])
def test_what_is_large_is_short_in_words(wide):
    space = mixed(wide)
    result = asng.minimize(lambda a: a["x"] ** 2, space, 30)
    optimizer = asng.ASNG(space)
    for one in (space, optimizer, optimizer.theta):
        assert len(repr(one)) < 500
        assert f"{wide + 1} " in repr(one)
    assert "history" not in repr(result)


def test_tables_escape_what_names_hold(found):
    for one in (found, found.space, found.architecture, asng.ASNG(found.space).theta, asng.ASNG(found.space)):
        assert "<a>" not in one._repr_html_()
        assert "&lt;a&gt;" in one._repr_html_()


def test_a_long_table_says_how_many_rows_there_are():
    table = html_table("", [[i] for i in range(500)])
    assert table.count("<tr>") == 61
    assert "500 rows in all" in table


def test_theta_shows_the_likeliest_value():
    space = Space({"k": Categorical(["a", "b"]), "lr": Real(1e-4, 1.0, log=True)})
    theta = asng.ASNG(space, prior={"k": [0.1, 0.9]}).theta
    assert f"<td>b</td><td>{theta['k'][1]:.1%} of 2 choices</td>" in theta._repr_html_()
    assert "<td>lr</td><td>0.01</td>" in theta._repr_html_()


def test_the_history_is_a_dataframe_of_its_columns(found):
    frame = found.dataframe()
    assert frame.to_dict("list") == found.columns()
    assert frame["loss"].min() == found.loss
    with pytest.raises(InputError, match="table: expected one of 'history', 'front', got 'losses'"):
        found.dataframe("losses")


def test_the_front_is_a_dataframe_of_what_is_not_dominated():
    result = asng.minimize(several_losses, mixed(), 40, objectives=["near", "far"])
    frame = result.dataframe("front")
    assert len(frame) == len(result.front) > 1
    assert list(frame["losses near"]) == [one.losses["near"] for one in result.front]
    axes = result.plot("front", axes=Figure().add_subplot())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("near", "far")


@pytest.mark.parametrize(("figure", "xlabel"), [("losses", "call of f"), ("importance", "importance")])
def test_a_search_is_drawn_into_the_axes_that_are_given(found, figure, xlabel):
    axes = Figure().add_subplot()
    assert found.plot(figure, axes=axes) is axes
    assert axes.get_xlabel() == xlabel
    assert found.plot(figure).get_xlabel() == xlabel  # of a new figure


def test_a_figure_that_is_not_there_is_one_error(found):
    with pytest.raises(InputError, match=r"figure: expected one of .*'front', got 'loss'"):
        found.plot("loss")
    with pytest.raises(InputError, match="expected a search of several objectives"):
        found.plot("front")


def test_a_search_without_steps_shows_its_finalists():
    result = fit(searcher(layers(), warmup=None, final=0.7), epochs=20)
    assert (result.steps, len(result.finalists) > 2) == (0, True)
    axes = result.plot(axes=Figure().add_subplot())
    alone = next(line for line in axes.lines if line.get_label() == "trained alone")
    assert list(alone.get_ydata()) == [one.alone for one in result.finalists]


def test_a_one_shot_search_shows_its_log_and_its_finalists(tmp_path):
    result = fit(searcher(layers()), run_dir=tmp_path / "run")
    steps = read_log(tmp_path / "run" / LOG).steps
    assert list(result.dataframe()["loss"]) == list(steps.loss)
    finalists = result.dataframe("finalists")
    assert list(finalists["alone"]) == [one.alone for one in result.finalists]
    assert {"road", *result.supernet.space} <= set(finalists)
    for figure in ("losses", "entropy", "delta"):
        assert result.plot(figure, axes=Figure().add_subplot()).get_xlabel() == "step"
    assert result.plot(axes=Figure().add_subplot()).get_ylabel() == "loss"
    with pytest.raises(InputError, match="figure: expected a search that has finalists, got one without"):
        result.plot("finalists")
    assert str(result.steps) in repr(result)
    assert len(repr(result)) < 400
    assert str(result.architecture[next(iter(result.architecture))]) in result._repr_html_()
