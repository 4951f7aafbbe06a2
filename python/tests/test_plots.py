"""What charts draw: the numbers, not the pictures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import ltv
from ltv import metrics, plots
from ltv.errors import InputError, MetricError

matplotlib = pytest.importorskip("matplotlib", reason="charts need matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _closed():
    """No figure outlives its test, and nothing is shown."""
    yield
    plt.close("all")


@pytest.fixture
def values():
    rng = np.random.default_rng(1)
    y = np.round(rng.lognormal(1, 1.4, 300) * (rng.random(300) < 0.4), 2)
    return y, y * rng.random(300) + np.round(rng.gamma(0.5, 4, 300), 1)


def lines(ax):
    """Lines by the start of their label in the legend."""
    return {line.get_label().split(",")[0]: np.asarray(line.get_xydata()) for line in ax.lines}


def area(points):
    return np.sum(np.diff(points[:, 0]) * (points[1:, 1] + points[:-1, 1]) / 2)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# --- curves ---


def test_lorenz_draws_each_sorted_by_itself(values):
    y, p = values
    ax = plots.lorenz(np.r_[y, np.nan], {"model": np.r_[p, 5.0], "same": np.r_[y[::-1], 0.0]})
    found = lines(ax)
    steps = np.arange(len(y) + 1) / len(y)
    for name, drawn in (("labels", y), ("model", p), ("same", y)):
        expected = np.r_[0, np.cumsum(np.sort(drawn)[::-1]) / drawn.sum()]
        np.testing.assert_allclose(found[name], np.column_stack([steps, expected]), atol=1e-12)
    assert 2 * area(found["labels"]) - 1 == pytest.approx(metrics.label_gini(y))
    assert 2 * area(found["model"]) - 1 == pytest.approx(metrics.prediction_gini(y, p))
    assert f"model, Mutual Gini {metrics.mutual_gini(y, p):.3f}" in legend(ax)
    assert "same, Mutual Gini 0.000" in legend(ax)
    assert ax.get_xlabel() and ax.get_ylabel() and ax.get_title() == "Lorenz curves"


def test_gain_draws_labels_by_predicted_rank(values):
    y, p = values
    p = np.round(p)
    ax = plots.gain(y, {"model": p, "constant": np.ones(len(y))})
    found = lines(ax)
    np.testing.assert_allclose(found["model"][1:, 1], metrics.cumulative_true(y, p), atol=1e-12)
    np.testing.assert_allclose(found["ideal order"][1:, 1], np.cumsum(np.sort(y)[::-1]) / y.sum(), atol=1e-12)
    # Nothing is known of equal predictions: the diagonal.
    np.testing.assert_allclose(found["constant"][:, 1], found["constant"][:, 0], atol=1e-12)
    assert found["random order"].tolist() == [[0, 0], [1, 1]]
    assert f"model, normalised Gini {metrics.normalized_gini(y, p):.3f}" in legend(ax)


@pytest.mark.parametrize("chart", [plots.lorenz, plots.gain])
def test_sets_may_be_named_or_not(chart, values):
    y, p = values
    assert any(text.startswith("predictions,") for text in legend(chart(y, p)))
    several = legend(chart(pa.array(y), p, p + 1))
    assert any(text.startswith("predictions 1,") for text in several)
    assert any(text.startswith("predictions 2,") for text in several)
    many = chart(y, {str(i): p + i for i in range(15)})
    styles = {(line.get_color(), line.get_linestyle()) for line in many.lines}
    assert len(styles) == len(many.lines) == 17


@pytest.mark.parametrize("chart", [plots.lorenz, plots.gain])
def test_many_rows_are_drawn_through_some_of_their_points(chart):
    rng = np.random.default_rng(2)
    y = rng.lognormal(0, 2, 50_000)
    p = y * rng.random(len(y))
    for line in chart(y, p).lines[:2]:
        x, held = line.get_data()
        assert 1000 < len(x) < 2100
        assert x[0] == held[0] == 0 and x[-1] == held[-1] == 1
        assert (np.diff(x) > 0).all() and (np.diff(held) >= 0).all()
        # The first row, where a curve is steepest, is among them.
        assert x[1] == pytest.approx(1 / len(y))
    exact = metrics.label_gini(y) if chart is plots.lorenz else None
    if exact is not None:
        assert 2 * area(lines(chart(y, p))["labels"]) - 1 == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("chart", [plots.lorenz, plots.gain])
def test_curves_say_what_is_wrong_and_draw_nothing(chart):
    for given, match in [
        (([0, 0], [1, 2]), "sums to zero"),
        (([np.nan], [1]), "no label is known"),
        (([], []), "no label is known"),
        (([1, 2], {}), "nothing to draw"),
        (([1, 2],), "nothing to draw"),
        (([1, -2], [1, 2]), "y_true, row 1"),
        (([1, 2], {"a": [1, 1], "b": [1, np.nan]}), "predictions 'b', row 1"),
        (([1, 2], [1, 2, 3]), "y_true has 2 rows, predictions 'predictions' 3"),
    ]:
        with pytest.raises(MetricError, match=match):
            chart(*given)
    assert not plt.get_fignums()
    with pytest.raises(InputError, match="predictions 'a': not numbers"):
        chart([1, 2], {"a": ["x", "y"]})
    with pytest.raises(MetricError, match="predictions 'zero' sum to zero"):
        plots.lorenz([1, 2], {"zero": [0, 0]})
    # Labels that are all equal have no order, which is no reason to draw nothing.
    assert "model, normalised Gini none" in legend(plots.gain([1, 1], {"model": [1, 2]}))


# --- tenths and groups ---


def test_deciles_draw_the_table(values):
    pytest.importorskip("pandas", reason="compared with decile_stats, a data frame of pandas")
    y, p = values
    p = np.round(p)
    ax = plots.deciles(np.r_[y, np.nan], np.r_[p, 1.0])
    table = metrics.decile_stats(y, p)
    for bars, column, side in zip(ax.containers, ("label_mean", "pred_mean"), (-0.2, 0.2)):
        assert [bar.get_height() for bar in bars] == pytest.approx(table[column].tolist())
        middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]
        assert middles == pytest.approx(np.arange(10) + side)
    assert legend(ax) == ["mean label", "mean prediction"]


def test_deciles_of_few_rows_leave_tenths_out():
    ax = plots.deciles([1, 2, 3], [10, 20, 30])
    assert [bar.get_height() for bar in ax.containers[1]] == [10, 20, 30]
    assert [round(bar.get_x()) for bar in ax.containers[1]] == [0, 4, 9]


@pytest.mark.parametrize("bins", [2, 7, 20])
def test_calibration_draws_means_of_equal_groups(bins):
    rng = np.random.default_rng(3)
    p = rng.gamma(2.0, size=bins * 12)
    y = rng.gamma(2.0, size=bins * 12)
    drawn = np.asarray(plots.calibration(y, p, bins=bins, log=False).lines[-1].get_xydata())
    order = np.argsort(p).reshape(bins, 12)
    np.testing.assert_allclose(drawn, np.column_stack([p[order].mean(axis=1), y[order].mean(axis=1)]), rtol=1e-12)


def test_calibration_chooses_its_axes():
    p = np.linspace(1, 50, 200)
    assert plots.calibration(p, p).get_xscale() == "linear"
    wide = np.geomspace(0.01, 100, 200)
    assert plots.calibration(wide, wide).get_xscale() == plots.calibration(wide, wide).get_yscale() == "log"
    assert plots.calibration(wide, wide, log=False).get_xscale() == "linear"
    assert plots.calibration(p, p, log=True).get_xscale() == "log"
    # Groups of no value cannot stand on a logarithmic axis, and stand at 0.
    ax = plots.calibration(np.where(wide < 1, 0, wide), wide)
    assert ax.get_yscale() == "symlog"
    drawn = ax.lines[-1].get_ydata()
    assert drawn[0] == 0 and np.isfinite(ax.transData.transform(ax.lines[-1].get_xydata())).all()
    # Nothing but zeros is drawn too.
    zeros = plots.calibration(np.zeros(30), np.zeros(30), log=True)
    assert np.isfinite(zeros.transData.transform(zeros.lines[-1].get_xydata())).all()
    for bins in (1, 0, 2.5, "a"):
        with pytest.raises(MetricError, match="bins"):
            plots.calibration(p, p, bins=bins)


def test_calibration_of_true_predictions_is_on_the_line():
    p = np.geomspace(1, 1000, 500)
    guide, drawn = (np.asarray(line.get_xydata()) for line in plots.calibration(p, p).lines)
    np.testing.assert_allclose(drawn[:, 0], drawn[:, 1])
    np.testing.assert_allclose(guide[:, 0], guide[:, 1])


# --- quantiles ---


def test_quantile_coverage_counts_labels_at_or_below():
    y = np.array([[0.0, 1.0], [2.0, np.nan], [4.0, 3.0], [6.0, 5.0]])
    quantiles = np.zeros((4, 2, 2))
    quantiles[:, 0], quantiles[:, 1] = [2.0, 5.0], [0.0, 3.0]
    ax = plots.quantile_coverage(y, quantiles, [0.25, 0.5], horizons=[30, 90])
    found = lines(ax)
    assert found["30 days"].tolist() == [[0.25, 0.5], [0.5, 0.75]]
    np.testing.assert_allclose(found["90 days"], [[0.25, 0.0], [0.5, 2 / 3]])
    # Levels in any order; horizons from the names of a table.
    table = pa.table({"ltv_30": y[:, 0], "ltv_90": y[:, 1]})
    other = lines(plots.quantile_coverage(table, quantiles[:, :, ::-1], [0.5, 0.25]))
    assert other["30 days"].tolist() == found["30 days"].tolist()


def test_true_quantiles_are_covered_as_they_should_be():
    rng = np.random.default_rng(4)
    scale, levels = rng.gamma(2.0, size=20_000), np.array([0.05, 0.25, 0.5, 0.9, 0.99])
    y = rng.exponential(scale)
    quantiles = -scale[:, None] * np.log1p(-levels)
    drawn = np.asarray(plots.quantile_coverage(y, quantiles, levels).lines[-1].get_xydata())
    error = np.sqrt(levels * (1 - levels) / len(y))
    assert (np.abs(drawn[:, 1] - levels) < 4 * error).all()


@pytest.mark.parametrize(
    ("y", "quantiles", "levels", "more", "match"),
    [
        ([1, 2], [[1], [2]], [1.5], {}, "levels"),
        ([1, 2], [[1], [2]], [], {}, "levels"),
        ([1, 2], [[1], [2]], [0.1, 0.5], {}, "shape"),
        ([1, 2], [[1], [np.nan]], [0.5], {}, "row 1, column 0, level 0"),
        ([1, 2], [["a"], ["b"]], [0.5], {}, "not numbers"),
        ([np.nan, np.nan], [[1], [2]], [0.5], {}, "no label is known"),
        ([1, 2], [[1], [2]], [0.5], {"horizons": [30, 90]}, "2 names for 1 columns"),
    ],
)
def test_quantile_coverage_says_what_is_wrong(y, quantiles, levels, more, match):
    with pytest.raises(MetricError, match=match):
        plots.quantile_coverage(y, quantiles, levels, **more)
    assert not plt.get_fignums()


def test_quantiles_of_a_network(dataset, odmn):
    levels = [0.25, 0.5, 0.9]
    quantiles = odmn.predict_quantiles(dataset, levels)
    found = lines(plots.quantile_coverage(dataset, quantiles, levels))
    y = dataset.to_arrow(["ltv_30", "ltv_90"])
    for i, days in enumerate((30, 90)):
        label = y.column(i).to_numpy()
        known = ~np.isnan(label)
        expected = [np.mean(label[known] <= quantiles[known, i, k]) for k in range(3)]
        np.testing.assert_allclose(found[f"{days} days"][:, 1], expected)


# --- buy till you die ---


class Fake:
    """Answers that tell which customer was asked for."""

    def probability_alive(self, frequency, recency, T):
        assert frequency.shape == recency.shape == T.shape and frequency.ndim == 1
        return (frequency + recency) / (100 * T)

    def expected_purchases(self, t, frequency, recency, T):
        return t * frequency + recency / T


def mesh(ax):
    """Frequencies, recencies and values of the cells."""
    found = ax.collections[0]
    corners = found.get_coordinates()
    across = (corners[0, 1:, 0] + corners[0, :-1, 0]) / 2
    up = (corners[1:, 0, 1] + corners[:-1, 0, 1]) / 2
    return across, up, np.ma.filled(found.get_array(), np.nan).reshape(len(up), len(across))


def test_matrices_draw_every_customer_that_can_be():
    across, up, cells = mesh(plots.probability_alive_matrix(Fake(), max_frequency=3, T=5))
    np.testing.assert_allclose(across, range(4))
    np.testing.assert_allclose(up, range(6))
    for i, recency in enumerate(up):
        for j, frequency in enumerate(across):
            if (frequency > 0) == (recency > 0):
                assert cells[i, j] == pytest.approx((frequency + recency) / 500)
            else:
                assert np.isnan(cells[i, j])
    ax = plots.frequency_recency_matrix(Fake(), t=2, max_frequency=3, max_recency=4, T=8)
    across, up, cells = mesh(ax)
    assert cells[4, 3] == pytest.approx(2 * 3 + 4 / 8) and cells[0, 0] == 0
    assert len(up) == 5
    assert ax.get_title() == "Purchases expected in the next 2 at age 8"
    assert "frequency" in ax.get_xlabel() and "recency" in ax.get_ylabel()
    assert ax.figure.axes[-1].get_ylabel() == "purchases"


def test_the_scale_of_a_probability_is_from_0_to_1():
    ax = plots.probability_alive_matrix(Fake(), max_frequency=3, T=5)
    assert ax.collections[0].get_clim() == (0.0, 1.0)


def test_matrices_choose_their_size():
    across, up, _ = mesh(plots.probability_alive_matrix(Fake(), max_recency=7))
    assert (across[-1], up[-1]) == pytest.approx((30, 7))
    # Days of years are drawn in 200 steps.
    _, up, _ = mesh(plots.probability_alive_matrix(Fake(), max_frequency=2, T=1000))
    assert len(up) == 201 and up[-1] == pytest.approx(1000)
    _, up, _ = mesh(plots.probability_alive_matrix(Fake(), max_frequency=2, T=38.86))
    assert up[-1] == pytest.approx(38.86)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "T: give the age"),
        ({"T": -1}, "T: -1"),
        ({"T": "a"}, "T: not numbers"),
        ({"T": np.nan}, "T: nan"),
        ({"T": 5, "max_recency": 6}, "max_recency: 6 is over the age"),
        ({"T": 5, "max_frequency": 0}, "max_frequency: 0"),
        ({"T": 5, "max_frequency": 0.5}, "max_frequency: 0.5"),
    ],
)
def test_matrices_say_what_is_wrong(given, match):
    for chart in (plots.probability_alive_matrix, plots.frequency_recency_matrix):
        with pytest.raises(InputError, match=match):
            chart(Fake(), **given)
    with pytest.raises(InputError, match="t: 0"):
        plots.frequency_recency_matrix(Fake(), t=0, T=5)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("BGNBD", {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}),
        ("ParetoNBD", {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}),
    ],
)
def test_matrices_of_real_models(kind, parameters):
    model = getattr(ltv, kind).from_params(**parameters)
    across, up, alive = mesh(plots.probability_alive_matrix(model, max_frequency=6, T=39))
    assert np.nanmin(alive) >= 0 and np.nanmax(alive) <= 1
    expected = model.probability_alive(np.array([4.0]), np.array([30.0]), np.array([39.0]))[0]
    assert alive[30, 4] == pytest.approx(expected)
    # Who bought just now is the likelier alive.
    assert (np.diff(alive[1:, 1:], axis=0) > 0).all()
    _, _, bought = mesh(plots.frequency_recency_matrix(model, t=39, max_frequency=6, T=39))
    expected = model.expected_purchases(39, np.array([2.0]), np.array([35.0]), np.array([39.0]))[0]
    assert bought[35, 2] == pytest.approx(expected)
    # Closed form of BG/NBD: P(alive) = 1 / (1 + a / (b + x - 1) ((alpha + T) / (alpha + t_x))^(r + x)), Fader,
    # Hardie and Lee 2008, "Computing P(alive) using the BG/NBD model".
    if kind == "BGNBD":
        r, alpha, a, b = parameters.values()
        odds = a / (b + 4 - 1) * ((alpha + 39) / (alpha + 30)) ** (r + 4)
        assert alive[30, 4] == pytest.approx(1 / (1 + odds), rel=1e-10)


# --- all ---


def test_every_chart_draws_into_the_axes_it_is_given(values):
    y, p = values
    _, axes = plt.subplots(2, 4)
    drawn = [
        plots.lorenz(y, p, ax=axes[0, 0]),
        plots.gain(y, p, ax=axes[0, 1]),
        plots.deciles(y, p, ax=axes[0, 2]),
        plots.calibration(y, p, ax=axes[0, 3]),
        plots.quantile_coverage(y, p[:, None], [0.5], ax=axes[1, 0]),
        plots.probability_alive_matrix(Fake(), T=5, ax=axes[1, 1]),
        plots.frequency_recency_matrix(Fake(), T=5, ax=axes[1, 2]),
    ]
    assert drawn == list(axes.flat)[: len(drawn)]
    assert len(plt.get_fignums()) == 1
    assert set(plots.__all__) == {
        "lorenz",
        "gain",
        "deciles",
        "calibration",
        "quantile_coverage",
        "probability_alive_matrix",
        "frequency_recency_matrix",
    }
    axes[0, 0].figure.canvas.draw()
