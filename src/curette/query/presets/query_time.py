"""Presets: a further network is trained at every query."""

from __future__ import annotations

from curette.query.presets.table import Preset

PRESETS: dict[str, Preset] = {
    # Networks trained at query time.
    "vaal": Preset(
        "single > vaal > unit > top",
        "Images that do not look like labelled ones, whatever the task.",
        "Sinha et al. 2019",
        family="trained at query time",
        fails="Blind to the task. The two networks must be kept in balance; equally tuned chance has been found as good.",
        cost="trains an autoencoder and a discriminator at every query",
        notes=(
            "The release sums the divergence of the codes where it averages the squared error, and so does curette; "
            "`vaal(kl_reduction=mean)` averages.",
            "DeepAL+ shows its discriminator the label 1 for both sets and queries what looks most labelled.",
            "The release trains for 100 epochs with 128 channels, curette for at most 200 steps with 16: `vaal(epochs=100, "
            "steps=100000, width=128, batch=128)`.",
        ),
    ),
    "task_aware_vaal": Preset(
        "single > task_aware_vaal > unit > top",
        "As vaal, told which regions the task's model is likely to get wrong.",
        "Kim et al. 2021",
        family="trained at query time",
        fails="As vaal. With few labelled regions the ranks are guesses.",
        cost="trains an autoencoder, a discriminator and a ranker at every query",
        notes=(
            "The paper's ranks come from a head trained with the task's network; curette trains a ranker on embeddings at "
            "query time, from the losses of labelled regions as far as their class shares show them, so that the model "
            "stays the same as in other strategies.",
        ),
    ),
    "core_gcn": Preset(
        "single > none > unit > core_gcn",
        "Core-set on features that tell labelled from unlabelled neighbourhoods apart.",
        "Caramalau et al. 2021",
        family="trained at query time",
        fails="A fully connected graph smooths features until they are alike; users could not repeat the published gains.",
        cost="trains a graph network at every query",
        notes=(
            "The release looks at 10,000 random regions only, and so does this; `core_gcn(nodes=0)` looks at all. In the "
            "release of task-aware VAAL, core_gcn is k-center on raw features, which is `core_set`.",
            "Cosines of features that may be negative are replaced by (1 + cos)/2, as their sums may vanish.",
        ),
    ),
    "uncertain_gcn": Preset(
        "single > uncertain_gcn > unit > top",
        "Regions that a graph of features almost takes for labelled ones.",
        "Caramalau et al. 2021",
        family="trained at query time",
        fails="As core_gcn. Sensitive to the weight of the unlabelled part of its loss.",
        cost="trains a graph network at every query",
        notes=("The release scores 10,000 random regions; curette trains on as many and scores all.",),
    ),
}
