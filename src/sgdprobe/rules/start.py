"""Rules about a network before its first update: they look at the first images and weights."""

import math
from collections.abc import Iterator

import numpy as np

from sgdprobe.config.formatting import format_value
from sgdprobe.rules.evidence import Evidence
from sgdprobe.rules.rule import Finding, rule

MAX_SATURATED = 0.5  # share of a layer that is saturated or dead
MAX_FIRST_LOSS_RATIO = 1.5  # times the loss of a guess
MAX_GRADIENT_RATIO = 100.0  # times, between the gradients of two layers
MIN_UPDATES = 100  # a network that learns well takes thousands
MIN_FLOOR = 0.2  # times the loss of a guess: below it a limited output hardly matters
MIN_SCORE_SPREAD = 1e-6  # of the scores over the images, relative to their size
MAX_GRADIENT_ERROR = 0.01  # relative, of a weight; float64 gives 1e-6

PIXELS = {"unit": "0..1", "none": "0..255", "standard": "mean 0, deviation 1"}

HE, XAVIER = (
    {"init.scheme": name, "init.scale": 1.0, "init.bias_scale": 0.0} for name in ("he", "xavier")
)
SMALL = {"init.scheme": "normal", "init.scale": 0.01, "init.bias_scale": 0.0}
UNIT, STANDARD = {"data.scale": "unit"}, {"data.scale": "standard"}
SOFTMAX = {"network.output": "softmax"}


@rule(
    "before",
    "layers",
    "a hidden layer has fewer units than log2 of the number of classes",
    "So few units, each on or off, cannot tell the classes apart.",
)
def narrow(e: Evidence) -> Iterator[Finding]:
    """Look for a layer with too few units to tell the classes apart by on and off."""
    least = min(e.settings.network.hidden, default=0)
    if 0 < least < math.log2(e.classes):
        units = f"{least} unit{'s' * (least > 1)}"
        text = f"a hidden layer has {units}, which is few to tell {e.classes} classes apart"
        yield Finding("narrow", text, repairs=({"network.hidden": (50,)},))


def _flat_layers(e: Evidence, sign: str, state: str) -> Iterator[Finding]:
    """Yield the layers that pass hardly any gradient."""
    for k in range(1, e.network.depth):
        share = e.signs[f"{sign}_{k}"]
        if share > MAX_SATURATED:
            W, init = e.network.params[f"W{k}"], e.settings.init
            scale = (
                format_value(init.scale) if init.scheme == "normal" else f"{float(np.std(W)):.3g}"
            )
            given = f"pixels of {PIXELS[e.settings.data.scale]}" if k == 1 else f"{len(W)} inputs"
            text = (
                f"layer {k}: {100 * share:.1f} % of units are {state} before the first update: "
                f"weights of scale {scale} on {given}"
            )
            raw = k == 1 and e.settings.data.scale == "none"
            repairs = ({**UNIT, **XAVIER}, UNIT) if raw else ()
            yield Finding(f"{sign}_{k}", text, repairs=(*repairs, XAVIER, HE, SMALL))


@rule(
    "before",
    "weights",
    f"more than {100 * MAX_SATURATED:.0f} % of a layer's outputs (sigmoid, tanh) are saturated",
    "A saturated unit has no slope: the layers below it get no gradient.",
)
def saturated(e: Evidence) -> Iterator[Finding]:
    """Look for layers of saturated units."""
    if not e.is_relu:
        yield from _flat_layers(e, "saturated", "saturated")


@rule(
    "before",
    "weights",
    f"more than {100 * MAX_SATURATED:.0f} % of a ReLU layer's units are 0 for every image",
    "A dead unit has no slope for any image: it never changes.",
)
def dead(e: Evidence) -> Iterator[Finding]:
    """Look for layers of dead ReLU units."""
    if e.is_relu:
        yield from _flat_layers(e, "dead", "dead for every image")


@rule(
    "before",
    "output",
    "the softmax spans a batch of more than one image",
    "One sum over the whole batch: even a perfect network divides 1 among all images.",
)
def batch_softmax(e: Evidence) -> Iterator[Finding]:
    """Look for one softmax over several samples."""
    n = e.settings.training.batch_size
    if e.settings.network.softmax_over == "batch" and e.network.output.softmax and n > 1:
        log = f"ln {n} = " if e.settings.network.loss == "cross_entropy" else ""
        text = f"softmax over the batch: the loss can't fall below {log}{e.floor:.3f}"
        yield Finding("batch_softmax", text, repairs=({"network.softmax_over": "sample"},))


@rule(
    "before",
    "output",
    f"surest and right, the outputs still have {100 * MIN_FLOOR:.0f} % of the loss of a guess",
    "The scores pass through a function of limited range before the softmax: it stays unsure.",
)
def limited_output(e: Evidence) -> Iterator[Finding]:
    """Look for outputs that cannot be sure."""
    if e.settings.network.softmax_over == "sample" and e.floor > MIN_FLOOR * e.guess:
        text = (
            f"output {e.settings.network.output}: the loss can't fall below {e.floor:.3f}; "
            f"a guess scores {e.guess:.3f}"
        )
        yield Finding("limited_output", text, repairs=(SOFTMAX,))


@rule(
    "before",
    "output",
    "cross entropy without a softmax, and an output of 0 or less",
    "Cross entropy takes the logarithm of a probability; without a softmax the output is none.",
)
def no_softmax(e: Evidence) -> Iterator[Finding]:
    """Look for the logarithm of what is no probability."""
    if e.network.output.softmax or e.settings.network.loss != "cross_entropy":
        return
    y = e.network.forward(e.first_images[0])
    share = float(np.mean(~(y > 0)))
    if share > 0:
        text = (
            f"output {e.settings.network.output}: {100 * share:.1f} % of outputs are 0 or less "
            "before the logarithm"
        )
        yield Finding("no_softmax", text, repairs=(SOFTMAX, {"network.loss": "mean_squared_error"}))


@rule(
    "before",
    "weights",
    f"the first loss is more than {MAX_FIRST_LOSS_RATIO} times that of a guess, or NaN or infinite",
    "A network that knows nothing should be unsure; this one is sure and wrong.",
)
def first_loss(e: Evidence) -> Iterator[Finding]:
    """Look for a first loss above that of a network that prefers no class."""
    if not e.first <= MAX_FIRST_LOSS_RATIO * e.guess:  # also true of NaN
        text = f"loss at the start is {e.first:.1f}, a guess scores {e.guess:.3f}"
        scaled = (UNIT, STANDARD) if e.settings.data.scale == "none" else ()
        yield Finding("first_loss", text, repairs=(*scaled, HE, XAVIER, SMALL))


@rule(
    "before",
    "weights",
    "all units of a hidden layer have the same weights",
    "Equal units get equal gradients and stay equal: the layer works as one unit.",
)
def symmetric(e: Evidence) -> Iterator[Finding]:
    """Look for layers whose units are all alike."""
    for k in range(1, e.network.depth):
        W, b = e.network.params[f"W{k}"], e.network.params[f"b{k}"]
        if W.shape[1] > 1 and not np.ptp(W, axis=1).any() and not np.ptp(b):
            text = f"layer {k}: all {W.shape[1]} units start with the same weights"
            yield Finding(f"symmetric_{k}", text, repairs=(HE, XAVIER, SMALL))


@rule(
    "before",
    "weights",
    f"the scores differ between images by less than {MIN_SCORE_SPREAD:g} of their size",
    "What the network puts out does not depend on the image.",
)
def ignores_input(e: Evidence) -> Iterator[Finding]:
    """Look for outputs that are the same for all images."""
    scores = e.network.scores(e.first_images[0])
    spread, size = float(np.std(scores, axis=0).max()), float(np.abs(scores).max())
    if spread <= MIN_SCORE_SPREAD * size:
        text = (
            f"the scores vary by {spread:.1e} over {len(scores)} images; their size is {size:.1e}"
        )
        yield Finding("ignores_input", text, repairs=(XAVIER, HE, {"network.hidden": (50,)}))


def _gradient_range(e: Evidence) -> tuple[dict[int, float], int, int]:
    """Return the gradient's norm at each layer, and the layers with the least and the most."""
    norms = {k: e.signs[f"gradient_norm_{k}"] for k in range(1, e.network.depth + 1)}
    return norms, min(norms, key=lambda k: norms[k]), max(norms, key=lambda k: norms[k])


@rule(
    "before",
    "weights",
    "the gradient of every weight is 0",
    "Without a gradient no weight changes.",
)
def no_gradient(e: Evidence) -> Iterator[Finding]:
    """Look for a network without any gradient."""
    norms, _, most = _gradient_range(e)
    if all(map(math.isfinite, norms.values())) and norms[most] == 0.0:
        text = "no weight has a gradient: nothing can be learned"
        yield Finding("no_gradient", text, repairs=(HE, XAVIER, SMALL, UNIT))


def _uneven(e: Evidence, name: str, verb: str) -> Iterator[Finding]:
    norms, least, most = _gradient_range(e)
    if not all(map(math.isfinite, norms.values())):
        return
    if norms[most] > MAX_GRADIENT_RATIO * norms[least] and (least < most) == (
        name == "vanishing_gradient"
    ):
        first, last = max(least, most), min(least, most)
        text = (
            f"the gradient {verb} on its way back: its norm is {norms[first]:.3g} at layer "
            f"{first} and {norms[last]:.3g} at layer {last}"
        )
        shallow = {"network.hidden": e.settings.network.hidden[:1]}
        yield Finding(
            name, text, repairs=(XAVIER, HE, {"network.activation": "relu", **HE}, shallow)
        )


@rule(
    "before",
    "weights",
    f"a lower layer's gradient has less than 1/{MAX_GRADIENT_RATIO:.0f} of an upper one's norm",
    "Each layer on the way back shrinks the gradient: the first layers hardly learn.",
)
def vanishing_gradient(e: Evidence) -> Iterator[Finding]:
    """Look for gradients that vanish on their way back."""
    yield from _uneven(e, "vanishing_gradient", "vanishes")


@rule(
    "before",
    "weights",
    f"a lower layer's gradient has more than {MAX_GRADIENT_RATIO:.0f} times an upper one's norm",
    "Each layer on the way back enlarges the gradient: no learning rate suits all layers.",
)
def exploding_gradient(e: Evidence) -> Iterator[Finding]:
    """Look for gradients that explode on their way back."""
    yield from _uneven(e, "exploding_gradient", "explodes")


@rule(
    "before",
    "too_short",
    f"fewer than {MIN_UPDATES} updates",
    "So few steps lead nowhere, however good their direction.",
)
def too_short(e: Evidence) -> Iterator[Finding]:
    """Look for a run that is too short to get anywhere."""
    if e.updates < MIN_UPDATES:
        text = f"{e.updates} updates: a network that learns well takes thousands"
        yield Finding("too_short", text)


@rule(
    "diagnosis",
    "gradient",
    f"a weight's gradient is {100 * MAX_GRADIENT_ERROR:.0f} % or more off central differences",
    "The update does not follow the loss: a derivative is wrong.",
    conclusive=True,
)
def gradient_check(e: Evidence) -> Iterator[Finding]:
    """Compare the gradient with central differences of the loss."""
    error, where = e.gradient_error
    if not error <= MAX_GRADIENT_ERROR:
        text = f"the gradient of {where} differs from central differences by {100 * error:.0f} %"
        builtin = {"training.gradient": "backprop"}
        yield Finding("gradient_check", text, repairs=(builtin, {"network.activation": "relu"}))
