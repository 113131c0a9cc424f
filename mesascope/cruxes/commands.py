"""The verbs of `mesascope crux`, over the argument; no logic of their own."""

from typing import Annotated, Any

import typer

from mesascope.cruxes import texts
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.options import (
    Base,
    Between,
    CruxEngine,
    Engine,
    Findings,
    Given,
    Person,
    Shown,
    Target,
    choose_people,
    on_argument,
    read_base,
    read_pair,
)
from mesascope.cruxes.outputs import export, import_file, report
from mesascope.errors import MesascopeError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A quantitative model of the cruxes of a dispute; without FILE, the shipped thread.",
)


@app.command()
@on_argument
def check(argument: Argument) -> Shown:
    """Say what contradicts itself and what to know before believing a number; only a contradiction exits 1.

    Example: mesascope crux check
    """
    issues = argument.check()
    return Shown(issues, texts.tell_issues(issues), failed=any(issue.error for issue in issues))


@app.command()
@on_argument
def answer(
    argument: Argument,
    person: Person = None,
    target: Target = None,
    given: Given = None,
    engine: Engine = "lp",
    draws: Annotated[int, typer.Option(min=1, max=10_000_000, help="For --engine sample.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="For --engine sample.")] = 0,
) -> Shown:
    """Say what follows for each person, as bounds that assume no independence (or by another engine).

    Example: mesascope crux answer --person lister --engine net
    """
    found = [
        argument.answer(p, target, given, engine, draws, seed=seed) for p in choose_people(argument, person)
    ]
    lines = [line for a in found for line in texts.tell_answer(a)]
    return Shown(found, lines, failed=any(a.status == "incoherent" for a in found))


@app.command()
@on_argument
def translate(
    argument: Argument,
    event: Annotated[
        str | None, typer.Option("--event", help="An event or definition of any vocabulary.")
    ] = None,
    to: Annotated[list[str] | None, typer.Option("--to", help="Into whose claims; repeatable.")] = None,
    given: Given = None,
    engine: Engine = "lp",
) -> Shown:
    """Say what an event of one vocabulary comes to in each person's own claims.

    Example: mesascope crux translate --event fix_cheap --to lister --given P
    """
    events = [event] if event else list(argument.content.definitions)
    if not events:
        raise MesascopeError(
            f"{argument.name} has no [defs] to translate.", "Name an event: --event 'T & C'."
        )
    found = [argument.translate(e, p, given, engine) for e in events for p in choose_people(argument, to)]
    written = argument.content.written
    lines = [f"{name} is defined as {written[name]}" for name in events if name in written]
    return Shown(found, lines + [line for a in found for line in texts.tell_answer(a)])


@app.command()
@on_argument
def gap(
    argument: Argument,
    between: Between = None,
    cut: Annotated[
        str | None, typer.Option(help="One cut of the file, or 'shared claims'; all if left out.")
    ] = None,
    scale: Annotated[str, typer.Option(help="prob, log or logodds.")] = "prob",
    method: Annotated[str, typer.Option(help="shapley, owen, oat, oat-back, lmdi or path.")] = "shapley",
    group: Annotated[
        list[str] | None, typer.Option(help="Parts kept together for owen, 'a,b'; repeatable.")
    ] = None,
) -> Shown:
    """Cut the difference between two people into shares that add up, under every cut of the file.

    Example: mesascope crux gap --scale log
    """
    groups = [tuple(part.strip() for part in g.split(",")) for g in group or []]
    report = argument.cuts(*read_pair(between), scale=scale, method=method, cut=cut, groups=groups)
    return Shown(report, texts.tell_gap(report))


@app.command()
@on_argument
def voi(
    argument: Argument,
    person: Person = None,
    crux: Annotated[str | None, typer.Option(help="One crux; every candidate if left out.")] = None,
    target: Target = None,
    given: Given = None,
    base: Base = "10",
    form: Annotated[str, typer.Option(help="log (mutual information), naive or quadratic.")] = "log",
    engine: CruxEngine = "auto",
    claims: Annotated[
        bool, typer.Option("--claims", help="Sobol shares of the person's numbers instead.")
    ] = False,
    cost: Annotated[
        float | None, typer.Option(min=0, max=1, help="With --claims: cost of acting; adds EVPI, EVPPI.")
    ] = None,
) -> Shown:
    """Say how much each person's belief would move on learning a crux: the value of information.

    Example: mesascope crux voi --person lister
    """
    found: dict[str, Any] = {}
    lines: list[str] = []
    for who in choose_people(argument, person):
        lines.append(f"{who}:")
        if not claims:
            found[who] = argument.voi(
                who, crux, target, given, base=read_base(base), form=form, engine=engine
            )
            unit = {"log": f"log base {base}", "naive": "probability", "quadratic": "probability squared"}[
                form
            ]
            lines += texts.tell_values(found[who], unit, "value of information")
            continue
        try:
            weights, whole, notes = argument.sensitivity(who, target, given, cost)
        except MesascopeError as error:
            found[who] = {"reason": str(error)}
            lines.append(f"  no answer: {error}")
            continue
        found[who] = {"claims": weights, "evpi": whole, "assumptions": notes}
        rows = [["claim", "first order", "total", "EVPPI"]]
        rows += [
            [w.claim, texts.number(w.first), texts.number(w.total), texts.number(w.partial)] for w in weights
        ]
        lines += texts.align(rows) + (
            [f"  EVPI at cost {texts.number(cost)}: {texts.number(whole)}"] if cost is not None else []
        )
        lines += [f"  assumes: {note}" for note in notes]
    return Shown(found, lines)


@app.command()
@on_argument
def vod(
    argument: Argument,
    between: Between = None,
    crux: Annotated[str | None, typer.Option(help="One crux; every candidate of both if left out.")] = None,
    target: Target = None,
    base: Base = "10",
    form: Annotated[str, typer.Option(help="log (symmetric KL) or naive (absolute differences).")] = "log",
    weights: Annotated[str, typer.Option(help="gmo or mean of the two P(C).")] = "gmo",
    engine: CruxEngine = "auto",
) -> Shown:
    """Say how far learning a crux is expected to bring two people together; negative drives them apart.

    Example: mesascope crux vod --form naive
    """
    found = argument.vod(
        *read_pair(between), crux, target, base=read_base(base), weights=weights, form=form, engine=engine
    )
    unit = f"log base {base}, weights {weights}" if form == "log" else f"probability, weights {weights}"
    lines = (
        texts.tell_values(found, unit, "value of discrimination")
        if found
        else ["no crux that both can be asked about"]
    )
    return Shown(found, lines)


@app.command()
@on_argument
def update(
    argument: Argument,
    item: Annotated[
        str | None,
        typer.Option(
            "--evidence",
            help="An evidence item or open question; all single observations and questions if left out.",
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", help="How many, for evidence that counts.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="Of how many.")] = None,
    against: Annotated[bool, typer.Option("--against", help="It was observed not to hold.")] = False,
    to: Annotated[
        str | None, typer.Option(help="For a question: the belief it is asked under, '60%'.")
    ] = None,
    findings: Findings = None,
) -> Shown:
    """Say what an observation should do to each person, through that person's own ratios only.

    Example: mesascope crux update --evidence e3
    """
    if findings is not None:
        tallies = argument.update_from(findings)
        return Shown(tallies, texts.tell_tallies(tallies))
    content = argument.content
    items = (
        [item]
        if item
        else [e.id for e in content.evidence.values() if not e.counts] + list(content.questions)
    )
    if not items:
        raise MesascopeError(
            f"{argument.name} has no evidence to put.", "Add [evidence], or say --evidence NAME."
        )
    found = {name: argument.update(name, k, n, not against, to=to) for name in items}
    lines = []
    for name, updates in found.items():
        what = content.evidence[name].text if name in content.evidence else content.questions[name].text
        lines += [f"{name}: {what}", *(f"  {line}" for line in texts.tell_updates(updates))]
    return Shown(found, lines)


@app.command()
@on_argument
def pool(
    argument: Argument,
    person: Person = None,
    target: Target = None,
    given: Given = None,
    method: Annotated[str, typer.Option(help="linear, log, gmo, geometric or extremised.")] = "gmo",
    weights: Annotated[str | None, typer.Option(help="One per person, '2,1'.")] = None,
    factor: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Of extremising; by the number of people if left out."),
    ] = None,
    base_rate: Annotated[float, typer.Option(help="For extremising.")] = 0.5,
    engine: Engine = "lp",
) -> Shown:
    """Put several people's answers together, end by end; who refuses or says nothing is left out by name.

    Example: mesascope crux pool --method linear
    """
    try:
        numbers = [float(w) for w in weights.split(",")] if weights else None
    except ValueError:
        raise MesascopeError(f"The weights {weights!r} are not numbers.", "Example: --weights 2,1.") from None
    people = choose_people(argument, person)
    found = argument.pool(
        people, target, given, method, weights=numbers, factor=factor, base=base_rate, engine=engine
    )
    return Shown(found, texts.tell_pool(found))


app.command()(report)
app.command()(export)
app.command("import")(import_file)
