"""The verdict on records made by hand."""

import math
from typing import Any

import pytest

from sgdprobe.provenance.compare import LOSS_TOLERANCE, Difference, Verdict, compare, find_causes

ENDING = Difference("ending", "FINISHED", "FINISHED")


def made(**changed: Any) -> dict[str, Any]:
    """The numbers of a run of two epochs; loss_2=… changes the loss of epoch 2."""
    values = {"loss": 2.0, "test_accuracy": 0.5, "symptom/dead_1": 0.0, "weights": "w"}
    epochs = [
        {"epoch": k, **{name: changed.get(f"{name}_{k}", v) for name, v in values.items()}}
        for k in (1, 2)
    ]
    first, last = changed.get("initial", "i"), changed.get("final", "f")
    return {"initial_weights": first, "epochs": epochs, "final_weights": last, "seconds": 1.0}


FACTS: dict[str, Any] = {
    "settings": {"training.learning_rate": 0.1},
    "data": {"folder": None, "files": {"train": "a" * 64}, "digest": "a" * 64},
    "source": {"hash": "a" * 64, "files": {"nn/training.py": "a" * 64}},
    "blas": {"kernel": "Haswell", "threads": 1, "version": "0.3.31"},
    "simd": ["X86_V3"],
    "numpy": "2.4.6",
    "processor": "one",
    "git": {"commit": "c"},
    "packages": {"rich": "14"},
}
KERNEL = FACTS | {"blas": FACTS["blas"] | {"kernel": "SkylakeX"}}
THREADS = FACTS | {"blas": FACTS["blas"] | {"threads": 2}}
SOURCE = FACTS | {"source": {"hash": "b" * 64, "files": {"nn/training.py": "b" * 64}}}


def judged(rerun: dict[str, Any], facts: dict[str, Any], **options: Any) -> Verdict:
    return compare(made(), rerun, FACTS, facts, **{"ending": ENDING, **options})


def test_every_bit_the_same_is_identical_wherever_it_ran() -> None:
    verdict = judged(made(), KERNEL)
    assert (verdict.word, verdict.same, verdict.compared) == ("IDENTICAL", True, 11)


def test_undefined_twice_is_the_same() -> None:
    nan = made(loss_2=math.nan)
    assert compare(nan, made(loss_2=math.nan), FACTS, FACTS, ENDING).word == "IDENTICAL"
    assert compare(nan, made(), FACTS, FACTS, ENDING).word == "DIFFERENT"


def test_the_last_bit_of_one_loss_is_a_difference() -> None:
    verdict = judged(made(loss_2=math.nextafter(2.0, 3.0)), FACTS)
    assert verdict.word == "DIFFERENT"
    assert str(verdict.first) == "epoch 2, loss: recorded 2.0, rerun 2.0000000000000004"
    assert verdict.causes == ()


def test_another_kernel_is_close_within_the_tolerance_and_different_outside() -> None:
    inside = judged(made(loss_1=2.0 + LOSS_TOLERANCE, loss_2=1.999, final="g"), KERNEL)
    assert (inside.word, inside.same) == ("CLOSE", True)
    assert inside.largest == Difference("epoch 1, loss", 2.0, 2.0 + LOSS_TOLERANCE)
    assert [str(cause) for cause in inside.causes] == [
        "BLAS kernel: recorded Haswell, rerun SkylakeX"
    ]
    outside = judged(made(loss_1=2.0 + 2.5 * LOSS_TOLERANCE), KERNEL)
    assert (outside.word, outside.same) == ("DIFFERENT", False)


@pytest.mark.parametrize(
    ("rerun", "facts"),
    [
        (made(weights_2="v"), THREADS),  # never right, however small
        (made(weights_2="v"), SOURCE),
        (made(weights_2="v"), KERNEL | {"source": SOURCE["source"]}),
        (made(weights_2="v"), FACTS | {"packages": {"rich": "15"}}),
        (made(weights_2="v"), FACTS),
        (made(test_accuracy_2=0.51), KERNEL),
        (made() | {"epochs": made()["epochs"][:1]}, KERNEL),
        (made() | {"epochs": [*made()["epochs"], {"epoch": 3, "loss": 2.0}]}, KERNEL),
    ],
)
def test_what_no_other_processor_excuses_is_different(
    rerun: dict[str, Any], facts: dict[str, Any]
) -> None:
    assert judged(rerun, facts).word == "DIFFERENT"


def test_only_weights_moved_on_another_processor_is_close() -> None:
    verdict = judged(made(weights_2="v"), FACTS | {"processor": "two"})
    assert (verdict.word, verdict.largest) == ("CLOSE", None)


def test_another_ending_is_a_difference_unless_the_run_was_interrupted() -> None:
    ending = Difference("ending", "DivergedError: nan", "FINISHED")
    assert judged(made(), FACTS, ending=ending).first == ending
    one = made() | {"epochs": made()["epochs"][:1], "final_weights": None}
    killed = Difference("ending", "KILLED", "FINISHED")
    verdict = compare(one, made(), FACTS, FACTS, killed, interrupted=True)
    assert (verdict.word, verdict.compared, verdict.epochs) == ("IDENTICAL", 5, (1, 2))


def test_causes_come_in_the_order_of_their_likelihood() -> None:
    facts = KERNEL | {
        "source": SOURCE["source"],
        "data": {"folder": "x", "files": {"train": "b" * 64}, "digest": "b" * 64},
        "settings": {"training.learning_rate": 0.2},
        "git": {"commit": "d"},
    }
    kinds = [cause.kind for cause in find_causes(FACTS, facts)]
    assert kinds == ["setting", "data", "data file", "source", "BLAS kernel", "commit"]
    kinds = [cause.kind for cause in find_causes(FACTS, facts, before_training=True)]
    assert kinds == ["setting", "source", "commit", "data", "data file", "BLAS kernel"]


def test_commit_and_uncommitted_changes_are_offered_where_nothing_likelier_is() -> None:
    clean = FACTS | {"git": {"commit": "c", "dirty": "false"}}
    dirty = FACTS | {"git": {"commit": "c", "dirty": "true", "diff": "a" * 64}}
    assert [str(cause) for cause in find_causes(clean, dirty)] == [
        "uncommitted changes: recorded false, rerun true",
        "diff of the uncommitted changes: recorded nothing, rerun aaaaaaaaaaaa…",
    ]
    copied = FACTS | {"git": {"commit": None, "dirty": "unknown"}}
    assert find_causes(clean, copied) == (), "what is not known explains nothing"
    moved = {"git": {"commit": "d"}}
    assert judged(made(weights_2="v"), FACTS | moved).word == "DIFFERENT"
    assert judged(made(weights_2="v"), KERNEL | moved).word == "CLOSE", "the kernel explains it"


def test_the_same_images_in_another_packing_explain_nothing() -> None:
    facts = FACTS | {"data": FACTS["data"] | {"files": {"train.gz": "b" * 64}}}
    assert find_causes(FACTS, facts) == ()


def test_what_the_record_lacks_is_named() -> None:
    facts = FACTS | {"settings": FACTS["settings"] | {"bits": "native"}}
    (cause,) = find_causes(FACTS, facts)
    assert str(cause) == "setting bits: recorded nothing, rerun native"


def test_a_record_that_contradicts_itself_is_not_confirmed() -> None:
    wrong = ("weights.npz does not hold the weights of numbers.json",)
    verdict = judged(made(), FACTS, contradictions=wrong)
    assert (verdict.word, verdict.same, verdict.first) == ("DIFFERENT", False, None)
    close = judged(made(weights_2="v"), KERNEL, contradictions=wrong)
    assert (close.word, close.contradictions) == ("DIFFERENT", wrong)
