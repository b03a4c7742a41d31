"""Train a network on MNIST with sgdprobe.nn alone, and watch it learn. Start here.

    python examples/train_by_hand.py [UPDATES]

No settings file, no record: images, a network, the loop. 3,000 updates are five epochs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sgdprobe.data import load
from sgdprobe.nn import SGD, Examples, Network, accuracy, draw_params


def main(updates: int) -> None:
    """Train, and print the accuracy after each epoch."""
    mnist = load("mnist", None)
    train = Examples(mnist.train_images, mnist.train_labels)  # 60,000 images of 784 pixels
    test = Examples(mnist.test_images, mnist.test_labels)  # 10,000 others
    rng = np.random.default_rng(seed=0)
    # 784 pixels, 50 and 100 hidden units, 10 digits; the weights are network.params["W1"], …
    params = draw_params(rng, (784, 50, 100, 10), scheme="he", scale=1.0, dtype="float32")
    network = Network(params, activation="relu", factor=1 / 255)  # pixels 0 … 255 become 0 … 1
    optimizer = SGD(learning_rate=0.1)
    for update in range(1, updates + 1):
        batch_mask = rng.integers(0, len(train), size=100)
        x, t = train.batch(batch_mask)  # x : (100, 784) pixels, t : (100,) digits
        loss = network.gradient(x, t)  # backpropagation; writes network.grad
        optimizer.step(network)  # network.theta -= 0.1 * network.grad
        if update % 600 == 0 or update == updates:
            shares = f"{accuracy(network, train):.2%} train, {accuracy(network, test):.2%} test"
            print(f"epoch {update / 600:.2g}: loss {loss:.3f}, accuracy {shares}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
