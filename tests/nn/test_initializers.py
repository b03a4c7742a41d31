"""How widely each scheme draws its weights."""

import numpy as np
import pytest

from sgdprobe.nn import draw_params
from sgdprobe.nn.functions import Array

SIZES = (800, 200, 50)


def draw(scheme: str, scale: float = 1, dtype: str = "float64", seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return draw_params(rng, SIZES, scheme=scheme, scale=scale, dtype=dtype)


@pytest.mark.parametrize(
    ("scheme", "std_1", "std_2"),
    [
        ("normal", 1.0, 1.0),
        ("xavier", 0.0447214, 0.0894427),  # sqrt(2 / 1000), sqrt(2 / 250)
        ("he", 0.05, 0.1),  # sqrt(2 / 800), sqrt(2 / 200)
        ("lecun", 0.0353553, 0.0707107),  # sqrt(1 / 800), sqrt(1 / 200)
    ],
)
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_standard_deviations(scheme: str, std_1: float, std_2: float, scale: float) -> None:
    params = draw(scheme, scale)
    for W, std in ((params["W1"], scale * std_1), (params["W2"], scale * std_2)):
        # Of n draws the mean is known to std / sqrt(n), the std to std / sqrt(2n): allow 4 of each.
        assert float(W.std()) == pytest.approx(std, rel=4 / np.sqrt(2 * W.size))
        assert abs(float(W.mean())) < 4 * std / np.sqrt(W.size)


def test_the_draws_are_normal_and_not_uniform() -> None:
    W = draw("normal")["W1"]
    # Of 160,000 normal draws 68.27 % are within 1; of uniform ones with std 1 it would be 57.7 %.
    assert float(np.mean(np.abs(W) < 1)) == pytest.approx(0.6827, abs=0.005)


def test_names_and_shapes_in_the_order_of_the_layers() -> None:
    shapes = {name: values.shape for name, values in draw("he").items()}
    assert list(shapes.items()) == [
        ("W1", (800, 200)),
        ("b1", (200,)),
        ("W2", (200, 50)),
        ("b2", (50,)),
    ]


@pytest.mark.parametrize("scheme", ["normal", "xavier", "he", "lecun"])
def test_biases_start_at_zero(scheme: str) -> None:
    params = draw(scheme)
    assert not params["b1"].any()
    assert not params["b2"].any()
    assert params["W1"].all()


def test_the_scale_multiplies_and_moves_no_draw() -> None:
    once, thrice = draw("he", 1.0), draw("he", 3.0)
    np.testing.assert_allclose(thrice["W2"], 3 * once["W2"], rtol=1e-14)


def test_float32_and_float64_start_alike() -> None:
    narrow, wide = draw("xavier", dtype="float32"), draw("xavier", dtype="float64")
    assert {values.dtype.name for values in narrow.values()} == {"float32"}
    assert {values.dtype.name for values in wide.values()} == {"float64"}
    np.testing.assert_array_equal(narrow["W1"], wide["W1"].astype("float32"))


def test_a_seed_gives_its_weights_and_no_others() -> None:
    np.testing.assert_array_equal(draw("normal", seed=5)["W1"], draw("normal", seed=5)["W1"])
    assert not np.array_equal(draw("normal", seed=5)["W1"], draw("normal", seed=6)["W1"])


def test_a_scale_beyond_the_float_type_is_infinite_without_a_warning() -> None:
    # The first loss is then not finite, which is where a reader looks.
    W = draw("normal", scale=1e300, dtype="float32")["W1"]
    assert np.isinf(W).all()
