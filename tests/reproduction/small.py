"""A study of a minute's size in a folder of its own, and changes to its files."""

from __future__ import annotations

from pathlib import Path

PLAN = """
says = "Does a small study run?"
source = "nowhere"
minutes = 1
seeds = 3

[values]
M = [2]
split = ["seen", "fresh"]
kept = ["thompson", "fixed:arm=1"]
updates = 3
lifetimes = 70

[quick]
seeds = 1
kept = ["thompson"]

[called.M]
2 = "two"

[called.kept]
"fixed:arm=1" = "second arm"

[subjects."network, M={M}"]
recipe = "ppo_recurrent:width=7,updates={updates},lifetimes=10,minibatches=2,epochs=2"
family = "bernoulli_bandit:arms=3,trials=11,bank={M},bank_seed={seed}"

[subjects."{kept}"]
subject = "{kept}"
family = "bernoulli_bandit:arms=3,trials=11"

[measured."total reward"]
measure = "total_reward:best=8.25"
of = ["network, M={M}", "{kept}"]

[measured."part on arm 1"]
measure = "part_of_choice:choice=1"
of = ["{kept}"]

[measured."share on {split}"]
placed = "share"
split = "{split}"
of = ["network, M={M}", "{kept}"]

[[rows]]
quantity = "total reward"
subject = "second arm"
exact = 5.5
tolerance = 0.5

[[rows]]
quantity = "total reward"
subject = "thompson"
published = 6.0
published_error = 1.0
source = "nobody 1900"

[[panels]]
draw = "bars"
title = "total reward"
quantities = ["total reward"]
of = ["network, M={M}", "{kept}"]
"""
EXPECTS = """
[[expects]]
says = "A fixed arm is always the same."
value = ["part on arm 1", "second arm"]
than = 1.0
sign = "0"
largest = 0.0

[[expects]]
says = "Thompson sampling gets more."
value = ["total reward", "thompson"]
than = ["total reward", "second arm"]
sign = "+"
smallest = 0.1
"""


def small(folder: Path, plan: str = PLAN, expects: str = EXPECTS, name: str = "small") -> Path:
    """Writes the study."""
    (folder / name).mkdir(parents=True)
    (folder / name / "plan.toml").write_text(plan, encoding="utf-8")
    (folder / name / "expects.toml").write_text(expects, encoding="utf-8")
    return folder / name
