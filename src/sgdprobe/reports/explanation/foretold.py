"""A prediction, tested: does a simple model of some cells foretell the others?"""

from sgdprobe.reports.document import Block, Heading, Table, Text
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.words import changes_of, linked, of_all, percents
from sgdprobe.study import effects


def held_out_cells(facts: Facts) -> list[Block]:
    """Predicted and measured, cell by cell, and how many fell inside."""
    k = len(facts.factors)
    found = effects.predictions(facts.y)
    heading = Heading("A prediction, tested")
    if not found:
        return [heading, Text("It takes at least three factors to leave a cell to predict.")]
    rows = [
        [
            linked(changes_of(each.cell, facts.factors), each.cell),
            of_all(percents(each.predicted)),
            f"{100 * each.measured:.2f} %",
            "inside" if each.inside else "outside",
        ]
        for each in found
    ]
    on_logit = effects.predictions(facts.logit)
    inside, inside_logit = (sum(each.inside for each in some) for some in (found, on_logit))
    reach = effects.max_distance(k)
    also = f", or at most {reach} from `{facts.ends[1]}`" if reach >= 0 else ""
    return [
        heading,
        Text(
            "A model with main effects and two-factor interactions was fitted to the "
            f"{len(facts.design.cells()) - len(found)} cells with at most two changes from "
            f"`{facts.ends[0]}`{also}. It predicts the other {len(found)}, whose runs it has not "
            f"seen. **{inside} of {len(found)} fell inside the interval**; on the logit scale "
            f"{inside_logit} of {len(found)}. Of cells that follow the model, 95 of 100 would: "
            + (
                "what many changes do together follows from single ones and pairs."
                if effects.model_is_adequate(found)
                else "what many changes do together does not follow from single ones and pairs."
            )
        ),
        Table(["changed", "predicted", "measured", ""], rows),
    ]
