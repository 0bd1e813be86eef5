"""Memory that loaded models take, beside the size of their weights, and the share that closing gives back.

Resident memory after garbage collection and malloc_trim, of a process that has loaded the model before; see
`benchmarks/memory.py`.
"""

import memory
from rig.figures import Figure


def measure() -> dict[str, Figure]:
    """Three networks from 14 MB to 528 MB, and the demo model loaded again and again."""
    measured = memory.measure()
    figures = {}
    for name, row in measured["models"].items():
        figures[f"{name}_cost"] = Figure(
            what=f"resident memory that loading {name} takes",
            against="the bytes of its weights",
            value=row["cost"] / row["weights"],
            unit="x the memory",
            most=round(1.5 + 60 / row["weights"], 2),
            details=row,
        )
        figures[f"{name}_returned"] = Figure(
            what=f"resident memory that closing {name} gives back",
            against="what loading took",
            value=100 * row["returned"],
            unit="%",
            least=90,
            details=row,
        )
        figures[f"{name}_plans"] = Figure(
            what=f"resident memory that {memory.PLANS} plans for late layers of {name} take",
            against="what they count as in `plan_bytes`",
            value=row["plans"] / row["counted"],
            unit="x the memory",
            details=row,
        )
    cycles = measured["cycles"]
    figures["cycles"] = Figure(
        what=f"growth over {cycles['cycles']} times loading, running and closing the demo model",
        against="resident memory after the first few",
        value=float(cycles["growth"]),
        unit="MB",
        details=cycles,
    )
    return figures
