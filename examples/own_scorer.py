from pathlib import Path

from array_api_compat import array_namespace

from curette.bench.report import build_report
from curette.bench.study import run_study
from curette.recipe import parse_study
from curette.registry import register


@register("scorer", "gini")
def gini(prediction):
    """Gini impurity of the mean probabilities [B, C, *S]: 0 when certain, higher = query first."""
    return 1 - array_namespace(prediction.mean).sum(prediction.mean**2, axis=1)


study = parse_study(
    {
        "strategies": ["random", "single > gini > top", "single > gini > stochastic_batches"],
        "seeds": [0, 1],
        "data": {"dataset": "phantom", "unit": "slice"},
        "train": {"steps": 150},
        "query": {"initial": 10, "budget": 10, "cycles": 3},
    }
)
done = run_study(study, Path("runs/own-scorer"))
print(build_report(done.path))
