"""The loop: one step by hand, a few by a plain loop, and what may be relied on for thousands."""

import copy
import math
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

from sgdprobe.nn import (
    GRADIENTS,
    OPTIMIZERS,
    SAMPLINGS,
    SGD,
    DivergedError,
    EpochMetrics,
    Examples,
    Network,
    Optimizer,
    TrainingState,
    accuracy,
    draw_params,
    symptoms,
    train,
)
from sgdprobe.nn.functions import Array, Labels


def examples(n: int = 40, dtype: str = "float64", seed: int = 0, pixels: int = 6) -> Examples:
    """Random images of three classes: enough where only the arithmetic is looked at."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, pixels), dtype=np.uint8)
    return Examples(images, rng.integers(0, 3, n), dtype=dtype)


def network(dtype: str = "float64", **kwargs: Any) -> Network:
    rng = np.random.default_rng(1)
    params = draw_params(rng, (6, 5, 4, 3), scheme="normal", scale=1.0, dtype=dtype)
    return Network(params, factor=1 / 255, **kwargs)


def epochs(model: Network, data: Examples, updates: int, **kwargs: Any) -> Iterator[EpochMetrics]:
    """Train with batches of 4 at learning rate 0.5, where nothing else is said."""
    optimizer = SGD(kwargs.pop("learning_rate", 0.5))
    settings: dict[str, Any] = {"test": data, "optimizer": optimizer, "batch_size": 4} | kwargs
    return train(model, data, rng=np.random.default_rng(2), updates=updates, **settings)


def run(model: Network, data: Examples, updates: int, **kwargs: Any) -> list[EpochMetrics]:
    return list(epochs(model, data, updates, **kwargs))


def all_losses(metrics: list[EpochMetrics]) -> list[float]:
    return [float(loss) for epoch in metrics for loss in epoch.losses]


def test_one_step_by_hand() -> None:
    log3 = math.log(3)
    model = Network(
        {
            "W1": np.array([[0, log3], [0, 0]]),
            "b1": np.zeros(2),
            "W2": np.array([[0, log3], [0, 2 / 3 * log3]]),
            "b2": np.zeros(2),
        },
        factor=1 / 255,
    )
    one = Examples(np.array([[255, 102]], np.uint8), np.array([0]), dtype="float64")
    # x = (1, 0.4), and t = (1, 0).
    # a1 = x W1 = (0, log 3), so h = sigmoid(a1) = (1/2, 3/4).
    # a2 = h W2 = (0, (1/2 + 3/4 · 2/3) log 3) = (0, log 3), so y = softmax(a2) = (1/4, 3/4).
    [metrics] = run(model, one, updates=1, batch_size=1, learning_rate=0.8)
    assert metrics.loss == pytest.approx(-math.log(1 / 4), rel=1e-6)
    # delta2 = y - t = (-3/4, 3/4)
    # dW2 = h.T delta2 = [[-3/8, 3/8], [-9/16, 9/16]], db2 = delta2.
    # delta1 = delta2 W2.T · h (1 - h) = (3/4 log 3, 1/2 log 3) · (1/4, 3/16)
    #        = (3/16, 3/32) log 3
    # dW1 = x.T delta1 = [[3/16, 3/32], [3/40, 3/80]] log 3, db1 = delta1.
    # Each weight moves by -0.8 of its derivative:
    expected: dict[str, list[Any]] = {
        "W1": [[-0.15 * log3, 0.925 * log3], [-0.06 * log3, -0.03 * log3]],
        "b1": [-0.15 * log3, -0.075 * log3],
        "W2": [[0.3, log3 - 0.3], [0.45, 2 / 3 * log3 - 0.45]],
        "b2": [0.6, -0.6],
    }
    for name, values in expected.items():
        # 1e-6 for the 1e-7 that the loss adds to y.
        np.testing.assert_allclose(model.params[name], values, atol=1e-6, err_msg=name)


def test_ten_updates_are_those_of_a_plain_loop() -> None:
    data, model = examples(), network()
    W1, b1, W2, b2, W3, b3 = (values.copy() for values in model.params.values())
    metrics = run(model, data, updates=10)

    rng, losses = np.random.default_rng(2), []
    for _ in range(10):
        mask = rng.integers(0, 40, 4)
        x, t = data.images[mask] / 255, np.eye(3)[data.labels[mask]]
        h1 = 1 / (1 + np.exp(-(x @ W1 + b1)))
        h2 = 1 / (1 + np.exp(-(h1 @ W2 + b2)))
        y = np.exp(h2 @ W3 + b3)
        y /= y.sum(axis=1, keepdims=True)
        losses.append(-np.sum(t * np.log(y + 1e-7)) / 4)
        delta3 = (y - t) / 4
        delta2 = delta3 @ W3.T * h2 * (1 - h2)
        delta1 = delta2 @ W2.T * h1 * (1 - h1)
        W3 -= 0.5 * h2.T @ delta3
        b3 -= 0.5 * delta3.sum(axis=0)
        W2 -= 0.5 * h1.T @ delta2
        b2 -= 0.5 * delta2.sum(axis=0)
        W1 -= 0.5 * x.T @ delta1
        b1 -= 0.5 * delta1.sum(axis=0)

    # (y - t) is right but for the 1e-7 that the loss adds to y.
    assert all_losses(metrics) == pytest.approx(losses, rel=1e-6)
    for values, name in zip((W1, b1, W2, b2, W3, b3), model.params, strict=True):
        np.testing.assert_allclose(model.params[name], values, atol=1e-6, err_msg=name)


def test_the_notes_10_000_updates_are_17_epochs() -> None:
    # 60,000 images in batches of 100 are 600 updates an epoch: 10,000 are 16 epochs and two
    # thirds. The same ratios with 60 images in batches of 1, 60 updates an epoch, 1,000 in all.
    metrics = run(network(), examples(60), updates=1000, batch_size=1)
    assert [m.epoch for m in metrics] == list(range(1, 18))
    assert [m.updates for m in metrics] == [*range(60, 961, 60), 1000]
    assert [len(m.losses) for m in metrics] == [60] * 16 + [40]


@pytest.mark.parametrize(
    ("n", "batch_size", "updates", "per_epoch"),
    [
        (10, 4, 6, [3, 3]),  # an epoch ends with a batch of 2, or of 4 drawn with replacement
        (10, 4, 7, [3, 3, 1]),
        (10, 10, 2, [1, 1]),
        (10, 99, 2, [1, 1]),
        (10, 4, 0, []),
    ],
)
@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
def test_part_epochs(
    sampling: str, n: int, batch_size: int, updates: int, per_epoch: list[int]
) -> None:
    metrics = run(network(), examples(n), updates, batch_size=batch_size, sampling=sampling)
    assert [len(m.losses) for m in metrics] == per_epoch
    assert [m.updates for m in metrics] == np.cumsum(per_epoch).tolist()


def test_a_permutation_shows_each_example_once_an_epoch() -> None:
    # With learning rate 0 nothing is learned: an epoch's mean loss is the loss on all examples,
    # since its batches are of one size and hold each example once.
    model, data = network(), examples(40)
    everything = model.loss(*data.batch(np.arange(40)))
    for m in run(model, data, updates=30, sampling="permutation", learning_rate=0.0):
        assert m.loss == pytest.approx(everything, rel=1e-12)
    for m in run(model, data, updates=30, sampling="with_replacement", learning_rate=0.0):
        assert m.loss != pytest.approx(everything, rel=1e-6)


def test_a_short_last_batch_is_a_mean_over_its_own_examples() -> None:
    model, data = network(), examples(5)
    [metrics] = run(model, data, updates=2, sampling="permutation", learning_rate=0.0)
    order = np.random.default_rng(2).permutation(5)
    expected = [model.loss(*data.batch(mask)) for mask in (order[:4], order[4:])]
    assert metrics.losses == pytest.approx(expected, rel=1e-12)


# n is no multiple of the batch, nor of the number of images that are evaluated at once.
def test_every_field_of_the_metrics_by_other_means() -> None:
    data, test, validation = examples(1203), examples(707, seed=5), examples(301, seed=6)
    model = network(activation="tanh")

    def share_right(some: Examples) -> float:
        h = some.images / 255
        for k in (1, 2):
            h = np.tanh(h @ model.params[f"W{k}"] + model.params[f"b{k}"])
        scores = h @ model.params["W3"] + model.params["b3"]
        return float(np.mean(scores.argmax(axis=1) == some.labels))

    seen = 0
    for m in epochs(model, data, 20, test=test, validation=validation, batch_size=100):
        # The model stands as it did when m was measured.
        assert m.train_accuracy == pytest.approx(share_right(data), rel=1e-12)
        assert m.test_accuracy == pytest.approx(share_right(test), rel=1e-12)
        assert m.validation_accuracy == pytest.approx(share_right(validation), rel=1e-12)
        assert m.loss == pytest.approx(sum(m.losses) / len(m.losses), rel=1e-12)
        assert m.symptoms == pytest.approx(symptoms(model, *data.batch(np.arange(100))))
        seen += 1
    assert seen == 2
    assert len({m.train_accuracy, m.test_accuracy, m.validation_accuracy}) == 3


def test_accuracy_of_all_right_and_all_wrong() -> None:
    # The network passes the two pixels on as scores: the brighter one is the class.
    model = Network({"W1": np.eye(2), "b1": np.zeros(2)})
    images = np.array([[0, 9], [9, 0]] * 350, np.uint8)
    right = np.array([1, 0] * 350)
    assert accuracy(model, Examples(images, right, dtype="float64")) == 1.0
    assert accuracy(model, Examples(images, 1 - right, dtype="float64")) == 0.0
    assert accuracy(model, Examples(images, right * 0, dtype="float64")) == 0.5


def test_what_can_be_learned_is_learned() -> None:
    # The brightest of three pixels is the class.
    images = np.random.default_rng(0).integers(0, 256, (300, 3), dtype=np.uint8)
    data = Examples(images, images.argmax(axis=1))
    rng = np.random.default_rng(1)
    params = draw_params(rng, (3, 8, 3), scheme="xavier", scale=1.0, dtype="float32")
    metrics = run(Network(params, factor=1 / 255), data, updates=3000, batch_size=10)
    assert metrics[-1].train_accuracy > 0.95
    assert metrics[-1].loss < metrics[0].loss / 4


@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_short_run_is_the_start_of_a_longer_one(dtype: str, sampling: str) -> None:
    short, long = (
        all_losses(run(network(dtype), examples(28, dtype), updates, sampling=sampling))
        for updates in (5, 10)  # an epoch has 7
    )
    assert short == long[:5]
    assert len(long) == 10


@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seed_gives_the_same_bits(dtype: str, sampling: str) -> None:
    one, two = network(dtype), network(dtype)
    first, second = (run(m, examples(dtype=dtype), 25, sampling=sampling) for m in (one, two))
    assert first == second
    assert all_losses(first) == all_losses(second)
    assert one.theta.tobytes() == two.theta.tobytes()


@pytest.mark.parametrize("gradient", sorted(GRADIENTS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_is_kept(dtype: str, gradient: str) -> None:
    model = network(dtype)
    before = model.theta.copy()
    run(model, examples(dtype=dtype), 3, gradient=gradient)
    assert not np.array_equal(model.theta, before)
    assert model.theta.dtype == model.grad.dtype == model.params["W2"].dtype == dtype


@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
@pytest.mark.parametrize("stop", [1, 10, 13, 25])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_resumed_run_goes_on_to_the_same_bits(name: str, stop: int, sampling: str) -> None:
    whole, kept = network(), list[TrainingState]()

    def optimizer() -> Optimizer:
        return OPTIMIZERS[name](0.02, weight_decay=0.01)

    def keep(here: TrainingState) -> None:
        kept.append(copy.deepcopy(here))

    metrics = run(whole, examples(), 25, optimizer=optimizer(), sampling=sampling, on_update=keep)
    assert [here.updates for here in kept] == list(range(1, 26))
    resumed = network()
    rest = run(
        resumed, examples(), 25, optimizer=optimizer(), sampling=sampling, start=kept[stop - 1]
    )
    assert rest == metrics[-len(rest) :]
    assert resumed.theta.tobytes() == whole.theta.tobytes()


def test_a_loss_that_is_no_number_stops_the_run_after_the_epochs_before_it() -> None:
    data, model = examples(40), network()
    training = epochs(model, data, updates=60)
    assert [m.updates for m in islice(training, 2)] == [10, 20]
    model.params["b3"][0] = np.nan
    with pytest.raises(DivergedError) as caught:
        next(training)
    assert str(caught.value) == "the loss became nan at update 21, in epoch 3"


def test_a_learning_rate_too_large_diverges_without_a_warning() -> None:
    # Weights of 1e200 in three layers without a squashing activation are 1e600 together.
    with pytest.raises(DivergedError, match=r"^the loss became nan at update \d+, in epoch 1$"):
        run(network(activation="identity"), examples(), updates=30, learning_rate=1e200)


def test_weights_that_are_finite_but_too_large_end_the_next_epoch() -> None:
    # One update an epoch. The first leaves weights near 1e18, whose products with each other are
    # beyond float32: still numbers, and so a whole epoch; the second finds its loss undefined.
    data, model = examples(20, "float32"), network("float32", activation="relu")
    training = epochs(model, data, updates=3, batch_size=20, learning_rate=1e18)
    assert next(training).updates == 1
    assert np.isfinite(model.theta).all()
    with pytest.raises(DivergedError, match="the loss became nan at update 2, in epoch 2"):
        next(training)


def test_infinite_weights_after_the_last_update_are_divergence_too() -> None:
    with pytest.raises(DivergedError, match=r"^the weights became .* at update 1, in epoch 1$"):
        run(network("float32"), examples(dtype="float32"), updates=1, learning_rate=1e300)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_update_allocates_no_arrays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # One more way to the gradient, which notes the most memory taken since it was last asked.
    peaks: list[int] = []

    def watched(network: Network, x: Array, t: Labels) -> float:
        now, peak = tracemalloc.get_traced_memory()
        peaks.append(peak - before[-1])
        before.append(now)
        tracemalloc.reset_peak()
        return network.backprop(x, t)

    monkeypatch.setitem(GRADIENTS, "watched", watched)
    rng = np.random.default_rng(0)
    params = draw_params(rng, (784, 200, 10), scheme="he", scale=1.0, dtype="float32")
    data = examples(1000, "float32", pixels=784)
    tracemalloc.start()
    try:
        before = [tracemalloc.get_traced_memory()[0]]
        model = Network(params, factor=1 / 255)
        optimizer = OPTIMIZERS[name](0.01, weight_decay=0.01)
        run(model, data, updates=10, batch_size=100, gradient="watched", optimizer=optimizer)
    finally:
        tracemalloc.stop()
    # NumPy adds a bias to every row through a buffer of its own, of up to 8,192 numbers. Beyond
    # that a few KB: some (100,) and (100, 10). A hidden layer's array (100, 200) takes 80,000
    # bytes, a batch (100, 784) 313,600, a gradient (784, 200) 627,200.
    allowed = np.getbufsize() * 4 + 8_000
    worst = max(peaks[2:])  # the first two are from before the first update, and the first update
    assert worst < allowed, f"an update allocates {worst:,} bytes; allowed are {allowed:,}"
