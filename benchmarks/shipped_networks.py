"""Places the seven shipped networks of bandits and regression, and prints the table of docs/training.md.

Usage: python benchmarks/shipped_networks.py [LIFETIMES]
"""

import sys

import mesascope

NETWORKS = (
    "memoryless",
    "bank_of_four",
    "unlimited",
    "regression_4",
    "regression_16",
    "regression_256",
    "regression_unlimited",
)


def describe_row(name: str, placed: mesascope.Placement) -> str:
    """Describes one network as a row of the table."""
    numbers = placed.numbers
    pairs = [f"{numbers[k]:.2f} ± {numbers[f'{k}_error']:.2f}" for k in ("deletion", "transplant")]
    alone = numbers.get("gain_by_last_trials", {}).get(str(numbers["window"]))
    flags = ", ".join(f"{flag}: {answer}" for flag, answer in placed.flags.items() if answer != "not run")
    cells = [
        f"`{name}`",
        placed.level,
        f"{numbers['gain_fresh']:.2f}",
        "–" if alone is None else f"{alone:.2f} ({numbers['window']})",
        placed.span.removeprefix("from ") or "–",
        *pairs,
        f"{numbers['position']:.2f}" if "position" in numbers else "–",
        flags or "–",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Examines the networks one by one and prints the table."""
    lifetimes = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    print(
        "| network | level | gain | gain from the last trials alone | span | deletion | transplant | position | flags |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in NETWORKS:
        found = mesascope.examine(f"recurrent:path={name}", lifetimes=lifetimes)
        print(describe_row(name, found.placement), flush=True)


if __name__ == "__main__":
    main()
