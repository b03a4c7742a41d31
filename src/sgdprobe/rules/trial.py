"""Rules about the first updates, tried on a copy of the network."""

from collections.abc import Iterator

from sgdprobe.config.formatting import format_value
from sgdprobe.rules.evidence import GATE_IMAGES, GATE_UPDATES, Evidence
from sgdprobe.rules.rule import Change, Finding, rule, scaled
from sgdprobe.rules.start import MAX_SATURATED

MAX_LOSS_INCREASE = 1.3  # times the first loss and that of a guess, after the trial updates
MIN_DECREASE = 1.0  # times the loss of a guess: what all updates promise at the pace of the trial
MAX_STEP_RATIO = 0.7  # |change| / |weights| of an update
MAX_DECAY_RATIO = 0.2  # weight decay's part of the gradient over the loss's
MIN_GATE = 0.9  # accuracy on a batch that is learned by heart


def _rate(e: Evidence) -> str:
    return f"learning rate {format_value(e.settings.training.learning_rate)}"


def _slower(e: Evidence) -> tuple[Change, ...]:
    rate = e.settings.training.learning_rate
    mean = ({"network.loss_reduction": "mean"},) if e.network.is_sum else ()
    return (*mean, *({"training.learning_rate": scaled(rate, factor)} for factor in (0.1, 0.01)))


@rule(
    "before",
    "learning_rate_high",
    f"the trial updates raise the loss to more than {MAX_LOSS_INCREASE} times that of the start "
    f"and of a guess, or kill more than {100 * MAX_SATURATED:.0f} % of a ReLU layer",
    "Each step goes too far: the loss rises, or units are thrown to where they have no slope.",
)
def learning_rate(e: Evidence) -> Iterator[Finding]:
    """Look for steps that raise the loss or kill units."""
    trial, worst = e.trial, max(e.guess, e.first)
    dead = max((trial.signs[f"dead_{k}"] for k in range(1, e.network.depth)), default=0.0)
    fault = "loss" if e.network.is_sum and e.settings.training.batch_size > 1 else ""
    if not trial.loss <= MAX_LOSS_INCREASE * worst:  # also true of NaN
        text = (
            f"{_rate(e)}: {len(trial.losses)} trial updates raise the loss to {trial.loss:.3g}; "
            f"at the start, or for a guess, it is {worst:.3g}"
        )
        yield Finding("learning_rate", text, fault, _slower(e))
    elif e.is_relu and dead > MAX_SATURATED:
        text = (
            f"{_rate(e)}: after {len(trial.losses)} trial updates {100 * dead:.1f} % of a layer's "
            "units are dead for every image"
        )
        yield Finding("learning_rate", text, fault, _slower(e))


@rule(
    "before",
    "learning_rate_low",
    "at the pace of the trial updates the whole run lowers the loss by less than that of a guess",
    "The steps are too small for the length of the run.",
)
def too_slow(e: Evidence) -> Iterator[Finding]:
    """Look for steps that are too small, or too few."""
    if any(learning_rate(e)):
        return
    decrease = -e.updates * e.trial.decrease
    if decrease < MIN_DECREASE * e.guess:
        text = (
            f"{_rate(e)}: at the pace of {len(e.trial.losses)} trial updates, all {e.updates:,} "
            f"lower the loss by {decrease:.3g}; a guess scores {e.guess:.3f}"
        )
        rate = e.settings.training.learning_rate
        faster = tuple({"training.learning_rate": scaled(rate, factor)} for factor in (10.0, 100.0))
        yield Finding("too_slow", text, repairs=faster)


@rule(
    "diagnosis",
    "learning_rate_high",
    f"an update changes the weights by more than {100 * MAX_STEP_RATIO:.0f} % of their size",
    "Good steps change the weights by about a thousandth; such large ones forget what was learned.",
)
def large_steps(e: Evidence) -> Iterator[Finding]:
    """Look for updates that are large beside the weights."""
    ratio = e.trial.step_ratio
    if not ratio <= MAX_STEP_RATIO:
        text = f"{_rate(e)}: an update changes the weights by {100 * ratio:.3g} % of their size"
        fault = "loss" if e.network.is_sum and e.settings.training.batch_size > 1 else ""
        yield Finding("large_steps", text, fault, _slower(e))


@rule(
    "diagnosis",
    "weight_decay",
    f"weight decay's part of the gradient is more than {MAX_DECAY_RATIO} times the loss's",
    "The weights are pulled to 0 faster than the images can shape them.",
)
def decay(e: Evidence) -> Iterator[Finding]:
    """Look for weight decay that outweighs the loss."""
    ratio = e.trial.decay_ratio
    if ratio > MAX_DECAY_RATIO:
        decay = e.settings.training.weight_decay
        text = (
            f"weight decay {format_value(decay)}: its part of the gradient is "
            f"{ratio:.3g} times the loss's"
        )
        repairs = ({"training.weight_decay": 0.0}, {"training.weight_decay": decay / 100})
        yield Finding("decay", text, repairs=repairs)


@rule(
    "diagnosis",
    "",
    f"after {GATE_UPDATES} updates on the same {GATE_IMAGES} images, accuracy on them is below "
    f"{100 * MIN_GATE:.0f} %",
    "A network that cannot learn one batch by heart cannot learn all: look at the program, not at "
    "the amount of data.",
)
def overfit_batch(e: Evidence) -> Iterator[Finding]:
    """Try to learn one small batch by heart."""
    accuracy, loss = e.gate
    if accuracy < MIN_GATE:
        text = (
            f"{GATE_UPDATES} updates on the same {GATE_IMAGES} images: accuracy "
            f"{100 * accuracy:.0f} % on them, loss {loss:.3g}"
        )
        yield Finding("overfit_batch", text)
