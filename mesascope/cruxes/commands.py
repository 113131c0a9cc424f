"""The commands of `mesascope crux`; each command calls methods of the argument."""

from typing import Annotated, Any

import typer

from mesascope.cruxes import texts
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.options import (
    BaseOption,
    BetweenOption,
    CommandOutput,
    ConditionOption,
    CruxEngineOption,
    EngineOption,
    FindingsOption,
    PersonOption,
    TargetOption,
    choose_people,
    make_command,
    parse_base,
    parse_pair,
)
from mesascope.cruxes.outputs import export, import_file, report
from mesascope.errors import MesascopeError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A quantitative model of the cruxes of a dispute. Without FILE, the shipped thread is read.",
)


@app.command()
@make_command
def check(argument: Argument) -> CommandOutput:
    """List contradictions, and warnings to read before believing a number; only a contradiction exits 1.

    Example: mesascope crux check
    """
    issues = argument.check()
    return CommandOutput(issues, texts.describe_issues(issues), failed=any(issue.error for issue in issues))


@app.command()
@make_command
def answer(
    argument: Argument,
    person: PersonOption = None,
    target: TargetOption = None,
    condition: ConditionOption = None,
    engine: EngineOption = "lp",
    draws: Annotated[int, typer.Option(min=1, max=10_000_000, help="For --engine sample: number of draws.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="For --engine sample: random seed.")] = 0,
) -> CommandOutput:
    """Answer a question from each person's claims, as bounds without independence (or by another engine).

    Example: mesascope crux answer --person lister --engine net
    """
    answers = [argument.answer(p, target, condition, engine, draws, seed=seed) for p in choose_people(argument, person)]
    lines = [line for a in answers for line in texts.describe_answer(a)]
    return CommandOutput(answers, lines, failed=any(a.status == "incoherent" for a in answers))


@app.command()
@make_command
def translate(
    argument: Argument,
    event: Annotated[str | None, typer.Option("--event", help="An event or definition from any vocabulary.")] = None,
    to: Annotated[list[str] | None, typer.Option("--to", help="A person to translate for; repeatable.")] = None,
    condition: ConditionOption = None,
    engine: EngineOption = "lp",
) -> CommandOutput:
    """Translate an event of one vocabulary into each person's own claims.

    Example: mesascope crux translate --event fix_cheap --to lister --given P
    """
    events = [event] if event else list(argument.content.definitions)
    if not events:
        raise MesascopeError(f"{argument.name} has no [defs] to translate.", "Name an event: --event 'T & C'.")
    answers = [argument.translate(e, p, condition, engine) for e in events for p in choose_people(argument, to)]
    written = argument.content.written
    lines = [f"{name} is defined as {written[name]}" for name in events if name in written]
    return CommandOutput(answers, lines + [line for a in answers for line in texts.describe_answer(a)])


@app.command()
@make_command
def gap(
    argument: Argument,
    between: BetweenOption = None,
    cut: Annotated[
        str | None, typer.Option(help="One cut of the file, or 'shared claims'; by default all cuts.")
    ] = None,
    scale: Annotated[str, typer.Option(help="prob, log or logodds.")] = "prob",
    method: Annotated[str, typer.Option(help="shapley, owen, oat, oat-back, lmdi or path.")] = "shapley",
    group: Annotated[list[str] | None, typer.Option(help="Parts to keep together for owen, 'a,b'; repeatable.")] = None,
) -> CommandOutput:
    """Split the difference between two people into shares that add up, under every cut of the file.

    Example: mesascope crux gap --scale log
    """
    groups = [tuple(part.strip() for part in g.split(",")) for g in group or []]
    report = argument.cuts(*parse_pair(between), scale=scale, method=method, cut=cut, groups=groups)
    return CommandOutput(report, texts.describe_gap(report))


@app.command()
@make_command
def voi(
    argument: Argument,
    person: PersonOption = None,
    crux: Annotated[str | None, typer.Option(help="One crux; by default every candidate.")] = None,
    target: TargetOption = None,
    condition: ConditionOption = None,
    base: BaseOption = "10",
    form: Annotated[str, typer.Option(help="log (mutual information), naive or quadratic.")] = "log",
    engine: CruxEngineOption = "auto",
    claims: Annotated[
        bool, typer.Option("--claims", help="Rank the person's own numbers instead, by Sobol shares.")
    ] = False,
    cost: Annotated[
        float | None, typer.Option(min=0, max=1, help="With --claims: the cost of acting; adds EVPI and EVPPI.")
    ] = None,
) -> CommandOutput:
    """Rank cruxes by how much learning them would change each person's belief: the value of information.

    Example: mesascope crux voi --person lister
    """
    results: dict[str, Any] = {}
    lines: list[str] = []
    for name in choose_people(argument, person):
        lines.append(f"{name}:")
        if not claims:
            results[name] = argument.voi(name, crux, target, condition, base=parse_base(base), form=form, engine=engine)
            unit = {"log": f"log base {base}", "naive": "probability", "quadratic": "probability squared"}[form]
            lines += texts.describe_values(results[name], unit, "value of information")
            continue
        try:
            weights, evpi, notes = argument.sensitivity(name, target, condition, cost)
        except MesascopeError as error:
            results[name] = {"reason": str(error)}
            lines.append(f"  no answer: {error}")
            continue
        results[name] = {"claims": weights, "evpi": evpi, "assumptions": notes}
        rows = [["claim", "first order", "total", "EVPPI"]]
        rows += [
            [w.claim, texts.format_number(w.first), texts.format_number(w.total), texts.format_number(w.partial)]
            for w in weights
        ]
        lines += texts.align_columns(rows) + (
            [f"  EVPI at cost {texts.format_number(cost)}: {texts.format_number(evpi)}"] if cost is not None else []
        )
        lines += [f"  assumes: {note}" for note in notes]
    return CommandOutput(results, lines)


@app.command()
@make_command
def vod(
    argument: Argument,
    between: BetweenOption = None,
    crux: Annotated[str | None, typer.Option(help="One crux; by default every candidate of both.")] = None,
    target: TargetOption = None,
    base: BaseOption = "10",
    form: Annotated[str, typer.Option(help="log (symmetric KL) or naive (absolute differences).")] = "log",
    weights: Annotated[str, typer.Option(help="gmo or mean of the two P(C).")] = "gmo",
    engine: CruxEngineOption = "auto",
) -> CommandOutput:
    """Rank cruxes by how far learning them brings two people together; a negative value drives them apart.

    Example: mesascope crux vod --form naive
    """
    values = argument.vod(
        *parse_pair(between), crux, target, base=parse_base(base), weights=weights, form=form, engine=engine
    )
    unit = f"log base {base}, weights {weights}" if form == "log" else f"probability, weights {weights}"
    lines = (
        texts.describe_values(values, unit, "value of discrimination")
        if values
        else ["no crux that both people's claims mention"]
    )
    return CommandOutput(values, lines)


@app.command()
@make_command
def update(
    argument: Argument,
    item: Annotated[
        str | None,
        typer.Option(
            "--evidence", help="An evidence item or open question; by default all single observations and questions."
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", help="For evidence that is a count: the number observed.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="For evidence that is a count: the number of cases.")] = None,
    against: Annotated[bool, typer.Option("--against", help="The evidence was observed not to hold.")] = False,
    to: Annotated[str | None, typer.Option(help="For a question: the new belief to suppose, such as '60%'.")] = None,
    findings: FindingsOption = None,
) -> CommandOutput:
    """Update each person on an observation, with only that person's own likelihood ratios.

    Example: mesascope crux update --evidence e3
    """
    if findings is not None:
        tallies = argument.update_from(findings)
        return CommandOutput(tallies, texts.describe_tallies(tallies))
    content = argument.content
    items = [item] if item else [e.id for e in content.evidence.values() if not e.counts] + list(content.questions)
    if not items:
        raise MesascopeError(
            f"{argument.name} has neither a single observation nor a question.", "Name an item: --evidence NAME."
        )
    results = {name: argument.update(name, k, n, not against, to=to) for name in items}
    lines = []
    for name, updates in results.items():
        text = content.evidence[name].text if name in content.evidence else content.questions[name].text
        lines += [f"{name}: {text}", *(f"  {line}" for line in texts.describe_updates(updates))]
    return CommandOutput(results, lines)


@app.command()
@make_command
def pool(
    argument: Argument,
    person: PersonOption = None,
    target: TargetOption = None,
    condition: ConditionOption = None,
    method: Annotated[str, typer.Option(help="linear, log, gmo, geometric or extremised.")] = "gmo",
    weights: Annotated[str | None, typer.Option(help="One weight per person, such as '2,1'.")] = None,
    factor: Annotated[
        float | None, typer.Option(min=0, max=100, help="Factor for extremised; by default from the number of people.")
    ] = None,
    base_rate: Annotated[float, typer.Option(help="The base rate for extremised.")] = 0.5,
    engine: EngineOption = "lp",
) -> CommandOutput:
    """Pool several people's answers, end by end; people who refuse or state nothing are left out.

    Example: mesascope crux pool --method linear
    """
    try:
        numbers = [float(w) for w in weights.split(",")] if weights else None
    except ValueError:
        raise MesascopeError(f"The weights {weights!r} are not numbers.", "Example: --weights 2,1.") from None
    people = choose_people(argument, person)
    result = argument.pool(
        people, target, condition, method, weights=numbers, factor=factor, base=base_rate, engine=engine
    )
    return CommandOutput(result, texts.describe_pool(result))


app.command()(report)
app.command()(export)
app.command("import")(import_file)
