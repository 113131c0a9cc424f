"""Time the crux model, and its exact engine against two peers: python benchmarks/cruxes.py [--json]."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

NODES = {
    "asia": (),
    "tub": ("asia",),
    "smoke": (),
    "lung": ("smoke",),
    "bronc": ("smoke",),
    "either": ("lung", "tub"),
    "xray": ("either",),
    "dysp": ("bronc", "either"),
}
YES = {
    "asia": [0.01],
    "tub": [0.01, 0.05],
    "smoke": [0.5],
    "lung": [0.01, 0.1],
    "bronc": [0.3, 0.6],
    "either": [0, 1, 1, 1],
    "xray": [0.05, 0.98],
    "dysp": [0.1, 0.7, 0.8, 0.9],
}
CHAIN = [0.9, 0.8, 0.7, 0.85, 0.6, 0.75, 0.95, 0.5, 0.65, 0.8]


def best_time(job: Callable[[], object], repeats: int, inner: int = 1) -> float:
    """Seconds per call: the best repeat of the mean over inner calls, after one to warm up."""
    job()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(inner):
            job()
        times.append((time.perf_counter() - start) / inner)
    return min(times)


def tables() -> dict[str, np.ndarray]:
    found = {}
    for name, parents in NODES.items():
        p = np.array(YES[name], dtype=float).reshape((2,) * len(parents))
        found[name] = np.stack([1 - p, p], axis=-1)
    return found


def time_import() -> float:
    """Seconds that `import mesascope.cruxes` adds to a fresh interpreter, best of seven."""
    program = "import time; t = time.perf_counter(); import mesascope.cruxes; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(7)
    ]
    return min(float(run.stdout) for run in runs)


def time_engine_import() -> float:
    """The same with the engines and scipy's linear programming, which the first bound loads."""
    program = (
        "import time; t = time.perf_counter(); from mesascope import cruxes; import mesascope.cruxes.gaps, "
        "mesascope.cruxes.coherence; import scipy.optimize; print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(7)
    ]
    return min(float(run.stdout) for run in runs)


def time_thread() -> float:
    """Seconds for reading the file, check, both answers and the gap, after imports; best of seven."""
    program = """
import time
from mesascope import cruxes
import scipy.optimize, mesascope.cruxes.coherence, mesascope.cruxes.gaps, mesascope.cruxes.argument
t = time.perf_counter()
argument = cruxes.load_thread()
argument.check(), argument.answer("lister"), argument.answer("critic"), argument.cuts()
print(time.perf_counter() - t)
"""
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(7)
    ]
    return min(float(run.stdout) for run in runs)


def time_bounds() -> float:
    """Seconds for bounds on the end of a 14-atom chain with sets for both conditionals: two programs."""
    from mesascope.cruxes.bounds import Constraint, Polytope
    from mesascope.cruxes.language import SURE_EVENT, negate, parse_event

    names = "ABCDEFGHIJKLMN"
    claims = [Constraint("A", parse_event("A"), SURE_EVENT, 0.6, 0.8)]
    for i in range(1, 14):
        event, before = parse_event(names[i]), parse_event(names[i - 1])
        claims += [Constraint(f"y{i}", event, before, 0.6, 0.8), Constraint(f"n{i}", event, negate(before), 0.1, 0.3)]
    claims.append(Constraint("far", parse_event("A & G -> N"), SURE_EVENT, 0.2, 0.95))
    return best_time(lambda: Polytope(claims).bound(parse_event("N")), 3)


def time_draws(draws: int = 1_000_000) -> tuple[float, float]:
    """Seconds for as many second-order draws of the 10-claim chain (19 Betas, exact each); and the mean."""
    from mesascope.cruxes.bounds import Constraint
    from mesascope.cruxes.credal import CredalNet, draw_answers
    from mesascope.cruxes.language import SURE_EVENT, negate, parse_event

    names = "ABCDEFGHIJ"
    claims = [Constraint("A", parse_event("A"), SURE_EVENT, 0.0, 1.0)]
    betas = [(20 * CHAIN[0], 20 * (1 - CHAIN[0]))]
    for i in range(1, 10):
        event, before = parse_event(names[i]), parse_event(names[i - 1])
        claims += [Constraint(f"y{i}", event, before, 0.0, 1.0), Constraint(f"n{i}", event, negate(before), 0.0, 1.0)]
        betas += [(20 * CHAIN[i], 20 * (1 - CHAIN[i])), (2.0, 18.0)]
    network = CredalNet(claims, ())
    means = []

    def job() -> None:
        found = draw_answers(network, betas, parse_event("J"), draws=draws)
        assert found is not None
        means.append(found.compute_mean()[0])

    return best_time(job, 3), means[-1]


def time_asia() -> dict[str, float]:
    """Seconds for all eight marginals of asia by each library, from a ready network to eight arrays."""
    from mesascope.cruxes.networks import Net

    ours = Net({n: ("no", "yes") for n in NODES}, NODES, tables())
    expected = {name: p[1] for name, p in ours.compute_marginals().items()}
    times = {"mesascope": best_time(ours.compute_marginals, 25, 100)}
    try:
        import pyagrum as gum

        bn = gum.BayesNet()
        for name in NODES:
            bn.add(gum.LabelizedVariable(name, "", ["no", "yes"]))
        for name, parents in NODES.items():
            for parent in parents:
                bn.addArc(parent, name)
        for name, parents in NODES.items():
            table = tables()[name]
            for row in np.ndindex(*table.shape[:-1]):
                bn.cpt(name)[dict(zip(parents, map(int, row), strict=True))] = table[row].tolist()

        def ask_pyagrum() -> dict[str, object]:
            engine = gum.LazyPropagation(bn)
            engine.makeInference()
            return {name: engine.posterior(name).toarray() for name in NODES}

        check(expected, {n: p[1] for n, p in ask_pyagrum().items()})  # type: ignore[index]
        times["pyAgrum"] = best_time(ask_pyagrum, 25, 20)
    except ImportError:
        print("pyAgrum is not installed: skipped", file=sys.stderr)
    try:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.inference import VariableElimination
        from pgmpy.models import DiscreteBayesianNetwork

        model = DiscreteBayesianNetwork([(p, n) for n, parents in NODES.items() for p in parents])
        for name, parents in NODES.items():
            table = tables()[name]
            model.add_cpds(TabularCPD(name, 2, table.reshape(-1, 2).T, list(parents), [2] * len(parents)))
        engine = VariableElimination(model)

        def ask_pgmpy() -> dict[str, object]:
            return {name: engine.query([name], show_progress=False).values for name in NODES}

        check(expected, {n: p[1] for n, p in ask_pgmpy().items()})  # type: ignore[index]
        times["pgmpy"] = best_time(ask_pgmpy, 7, 3)
    except ImportError:
        print("pgmpy is not installed: skipped", file=sys.stderr)
    return times


def check(expected: dict[str, float], found: dict[str, float]) -> None:
    """All three give the same numbers, or there is nothing to compare."""
    for name, value in expected.items():
        assert abs(value - found[name]) < 1e-9, (name, value, found[name])


def main() -> None:
    asia = time_asia()
    draws, mean = time_draws()
    rows = [
        ("import mesascope.cruxes", time_import(), 0.7, "s"),
        ("import with engines and scipy", time_engine_import(), None, "s"),
        ("whole thread: file, check, answers, gap", time_thread(), 0.5, "s"),
        ("bounds with 14 atoms", time_bounds(), 2.0, "s"),
        (f"10^6 second-order draws of the chain (mean {mean:.4f})", draws, 3.0, "s"),
        ("asia, eight marginals", asia["mesascope"] * 1e3, None, "ms"),
    ]
    for name, least in (("pyAgrum", 8.0), ("pgmpy", 30.0)):
        if name in asia:
            rows.append((f"asia, {name}", asia[name] * 1e3, None, "ms"))
            rows.append((f"times as fast as {name}", asia[name] / asia["mesascope"], least, "×"))
    if "--json" in sys.argv:
        print(json.dumps({label: {"value": value, "bar": bar, "unit": unit} for label, value, bar, unit in rows}))
        return
    for label, value, bar, unit in rows:
        wanted = "" if bar is None else f"  ({'at least' if unit == '×' else 'under'} {bar:g})"
        print(f"{label:58s} {value:10.4f} {unit}{wanted}")


if __name__ == "__main__":
    main()
