"""Two ways to a gradient: central differences (the book's chapter 4) and backprop (chapter 5).

    python examples/gradients_by_hand.py [HIDDEN]

The book's network with HIDDEN units (50) on ten digits. It takes about ten seconds.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sgdprobe.data import load
from sgdprobe.nn import (
    Network,
    cross_entropy_error,
    draw_params,
    mean_squared_error,
    numerical_gradient,
)


def losses_of_the_notes() -> None:
    """Print both losses for one image, once with the right class and once with a wrong one."""
    y = np.array([0.1, 0.7, 0.2])
    for what, t in (("right", np.array([0, 1, 0])), ("wrong", np.array([1, 0, 0]))):
        square, entropy = mean_squared_error(y, t), cross_entropy_error(y, t)
        print(f"{what} class: mean squared error {square:.4f}, cross entropy error {entropy:.4f}")


def network_and_batch(hidden: int, dtype: str) -> tuple[Network, np.ndarray, np.ndarray]:
    """Return the book's network, and the first ten digits as pixels 0 … 1 with their labels."""
    mnist = load("mnist", None)
    sizes = (784, hidden, 10)
    params = draw_params(np.random.default_rng(0), sizes, scheme="normal", scale=0.01, dtype=dtype)
    return Network(params), mnist.train_images[:10].astype(dtype) / 255, mnist.train_labels[:10]


def compare(hidden: int) -> None:
    """Print both gradients at some weights, their largest difference and their times."""
    network, x, t = network_and_batch(hidden, "float64")
    begin = time.perf_counter()
    loss = network.gradient(x, t)
    between = time.perf_counter()
    numerical = numerical_gradient(lambda _: network.loss(x, t), network.theta)
    end = time.perf_counter()
    print(f"loss {loss:.4f}; ln 10 = {np.log(10):.4f}")
    start = 0
    for name, grad in network.grads.items():  # they lie one after another in network.grad
        k = start + np.abs(grad).argmax()
        print(f"{name}: backprop {network.grad[k]:+.9f}, central difference {numerical[k]:+.9f}")
        start += grad.size
    print(f"{len(network.theta)} weights, largest difference {largest(numerical - network.grad)}")
    print(f"backprop {1000 * (between - begin):.1f} ms, central differences {end - between:.1f} s")


def errors_by_step(hidden: int) -> None:
    """Print how far central differences of W2 are from backprop, for each h and float type."""
    print("h       float64   float32")
    networks = [network_and_batch(hidden, dtype) for dtype in ("float64", "float32")]
    for power in (1, 2, 3, 4, 5, 6, 8):
        errors = []
        for network, x, t in networks:
            network.gradient(x, t)
            W2, exact = network.params["W2"], network.grads["W2"]
            errors.append(numerical_gradient(lambda _: network.loss(x, t), W2, 10**-power) - exact)  # noqa: B023
        print(f"1e-{power:02}   {'   '.join(largest(error) for error in errors)}")


def largest(values: np.ndarray) -> str:
    """Return the largest absolute value as text."""
    return f"{np.abs(values).max():.1e}"


def main(hidden: int) -> None:
    """Print the losses of the notes, the two gradients, and the error for each h."""
    losses_of_the_notes()
    compare(hidden)
    errors_by_step(hidden)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
