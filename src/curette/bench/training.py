"""What a study's settings of training, triggers and companions must agree on, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from curette.errors import SettingError
from curette.learn import companions
from curette.learn.progress import Progress
from curette.query.strategy import Strategy
from curette.recipe import Study
from curette.registry import Bound
from curette.task import Task
from curette.text import read


def check_training(study: Study, strategies: Sequence[Strategy], task: Task) -> None:
    """Refuse settings of training that cannot work together.

    Raises `SettingError` that names the setting: a trigger that counts epochs where there are none, early stopping without
    a look at validation patients, looks without such patients, a companion that is not for the task.
    """
    default = read("trigger", study.query.trigger)
    for strategy in strategies:
        trigger = strategy.trigger or default
        trigger(Progress(0, 1, 1, 1, training=True))  # refuses impossible options
        _check_trigger(study, strategy, trigger)
        try:
            companions.check(strategy.companions, task)
        except SettingError as problem:
            raise SettingError(f"Strategy '{strategy.name}' cannot work: {problem}") from None
    _check_looks(study)


def _check_trigger(study: Study, strategy: Strategy, trigger: Bound) -> None:
    train, whose = study.train, f"Strategy '{strategy.name}' with the trigger '{trigger}'"
    if trigger.says("epochs") and train.epochs is None:
        raise SettingError(f"{whose} counts epochs. Set train.epochs to the most that a training may have.")
    if trigger.says("validates") and not train.validate_every:
        raise SettingError(f"{whose} goes by the validation patients. Set train.validate_every = 1.")
    if train.start == "continue" and not trigger.says("epochs"):
        raise SettingError(
            f'{whose}: with train.start = "continue" one training of train.epochs epochs goes on over all cycles, so a '
            "trigger must say when labels are added. Set query.trigger to 'every(5)' or 'plateau(10)'."
        )


def _check_looks(study: Study) -> None:
    train = study.train
    if train.validate_every and not study.split.val:
        raise SettingError(
            "train.validate_every looks at validation patients, and split.val sets none aside. Set split.val, or "
            "train.validate_every = 0. The test patients are never looked at while training."
        )
    for name, wanted in (("patience", train.patience > 0), ("keep", train.keep == "best")):
        if wanted and not train.validate_every:
            raise SettingError(
                f"train.{name} goes by looks at the validation patients. Set train.validate_every."
            )
    if train.start == "continue" and train.epochs is None:
        raise SettingError('train.start is "continue": set train.epochs to the epochs of the whole training.')
