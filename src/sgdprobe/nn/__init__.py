"""The mathematics, in NumPy alone: the functions of the book, a network, and its training."""

from sgdprobe.nn.batches import SAMPLINGS, permutation, updates_per_epoch, with_replacement
from sgdprobe.nn.examples import Examples
from sgdprobe.nn.functions import (
    ACTIVATIONS,
    LOSS_REDUCTIONS,
    LOSSES,
    OUTPUTS,
    SOFTMAX_AXIS,
    cross_entropy_error,
    identity,
    mean_squared_error,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from sgdprobe.nn.initializers import INITIALIZERS, draw_params
from sgdprobe.nn.network import Network
from sgdprobe.nn.numerical import GRADIENTS, gradient_descent, numerical_diff, numerical_gradient
from sgdprobe.nn.optimizer import OPTIMIZERS, SGD, AdaGrad, Adam, Momentum, Optimizer
from sgdprobe.nn.symptoms import symptoms
from sgdprobe.nn.training import DivergedError, EpochMetrics, TrainingState, accuracy, train

__all__ = [
    "ACTIVATIONS",
    "GRADIENTS",
    "INITIALIZERS",
    "LOSSES",
    "LOSS_REDUCTIONS",
    "OPTIMIZERS",
    "OUTPUTS",
    "SAMPLINGS",
    "SGD",
    "SOFTMAX_AXIS",
    "AdaGrad",
    "Adam",
    "DivergedError",
    "EpochMetrics",
    "Examples",
    "Momentum",
    "Network",
    "Optimizer",
    "TrainingState",
    "accuracy",
    "cross_entropy_error",
    "draw_params",
    "gradient_descent",
    "identity",
    "mean_squared_error",
    "numerical_diff",
    "numerical_gradient",
    "permutation",
    "relu",
    "sigmoid",
    "softmax",
    "symptoms",
    "tanh",
    "train",
    "updates_per_epoch",
    "with_replacement",
]
