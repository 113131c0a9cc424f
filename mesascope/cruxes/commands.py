"""The commands of `mesascope crux`; each command calls methods of the argument."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cruxes import importing, options, texts
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.disagreement import SCALES, SHARE_METHODS
from mesascope.cruxes.hypotheses import accumulate_evidence, rank_ratios
from mesascope.cruxes.influence import CRUX_ENGINES
from mesascope.cruxes.information import require_divergence
from mesascope.cruxes.source import read_text
from mesascope.errors import MesascopeError, require, require_known_name

app = options.app
COMMAND_MODULES = (importing,)  # importing a module adds its commands
COUNTS_REMEDY = "Write observed = [k, n] in the items of the file."


@options.add_command("check")
def check_argument(argument: Argument) -> options.CommandOutput:
    """List contradictions, and warnings to read before believing a number. Only contradictions set the exit code to 1.

    Example: mesascope crux check
    """
    issues = argument.check()
    return options.CommandOutput(
        issues, texts.describe_issues(issues), has_failed=any(issue.is_error for issue in issues)
    )


@options.add_command("answer")
def answer_question(
    argument: Argument,
    person: options.PersonOption = None,
    target: options.TargetOption = None,
    condition: options.ConditionOption = None,
    engine: options.EngineOption = "lp",
    draws: Annotated[int, typer.Option(min=1, max=10_000_000, help="For --engine sample: number of draws.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="For --engine sample: random seed.")] = 0,
) -> options.CommandOutput:
    """Answer a question from each person's claims, as bounds that assume no independence (or by another engine).

    Example: mesascope crux answer --person lister --engine net
    """
    answers = [argument.answer(p, target, condition, engine, draws, seed=seed) for p in argument.choose_people(person)]
    lines = [line for a in answers for line in texts.describe_answer(a)]
    return options.CommandOutput(answers, lines, has_failed=any(a.status == "incoherent" for a in answers))


@options.add_command("translate")
def translate_event(
    argument: Argument,
    event: Annotated[
        str | None, typer.Option("--event", help="An event or definition; by default every definition.")
    ] = None,
    people: Annotated[list[str] | None, typer.Option("--to", help="A person to translate for; repeatable.")] = None,
    condition: options.ConditionOption = None,
    engine: options.EngineOption = "lp",
) -> options.CommandOutput:
    """From other people's claims, answer a question about an event in one person's vocabulary.

    Example: mesascope crux translate --event fix_cheap --to lister --given P
    """
    events = [event] if event else list(argument.content.definitions)
    if not events:
        raise MesascopeError(f"{argument.name} has no [defs] to translate.", "Name an event: --event 'T & C'.")
    answers = [argument.translate(e, p, condition, engine) for e in events for p in argument.choose_people(people)]
    texts_of_definitions = argument.content.definition_texts
    lines = [f"{name} is defined as {texts_of_definitions[name]}" for name in events if name in texts_of_definitions]
    return options.CommandOutput(answers, lines + [line for a in answers for line in texts.describe_answer(a)])


@options.add_command("gap")
def split_gap(
    argument: Argument,
    pair: options.BetweenOption = None,
    cut: Annotated[
        str | None, typer.Option(help="One cut of the file, or 'shared claims'; by default all cuts.")
    ] = None,
    scale: Annotated[str, typer.Option(help="Scale of the gap: prob, log or logodds.")] = "prob",
    method: Annotated[
        str, typer.Option(help="Rule of the split: shapley, owen, oat, oat-back, lmdi or path.")
    ] = "shapley",
    group: Annotated[list[str] | None, typer.Option(help="Parts to keep together for owen, 'a,b'; repeatable.")] = None,
    should_use_points: Annotated[
        bool, typer.Option("--points", help="Read each set at one point, and split the gap between the points.")
    ] = False,
) -> options.CommandOutput:
    """Compare two people's answers to the same question, as sets; with --points, split the gap into shares.

    Example: mesascope crux gap --points --scale log
    """
    groups = [tuple(part.strip() for part in g.split(",")) for g in group or []]
    settings = {
        "scale": require_known_name("scale", scale, SCALES),
        "method": require_known_name("method", method, SHARE_METHODS),
    }
    report = argument.cuts(
        *options.parse_pair(pair), **settings, cut=cut, groups=groups, should_use_points=should_use_points
    )
    return options.CommandOutput(report, texts.describe_gap(report))


@options.add_command("voi")
def rank_cruxes(
    argument: Argument,
    person: options.PersonOption = None,
    crux: Annotated[str | None, typer.Option(help="One crux; by default every candidate.")] = None,
    target: options.TargetOption = None,
    condition: options.ConditionOption = None,
    base: options.BaseOption = "10",
    divergence: Annotated[
        str, typer.Option(help="log (mutual information), naive (mean change) or quadratic.")
    ] = "log",
    engine: options.CruxEngineOption = "auto",
    should_rank_claims: Annotated[
        bool, typer.Option("--claims", help="Rank the person's own numbers, not cruxes, by Sobol shares.")
    ] = False,
    cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="With --claims: the cost of acting; adds values of perfect information (EVPI, EVPPI).",
        ),
    ] = None,
) -> options.CommandOutput:
    """Rank cruxes by how much learning them would change each person's belief: the value of information.

    Example: mesascope crux voi --person lister
    """
    require_divergence(divergence)
    require_known_name("engine", engine, CRUX_ENGINES)
    results: dict[str, Any] = {}
    lines: list[str] = []
    for name in argument.choose_people(person):
        lines.append(f"{name}:")
        if not should_rank_claims:
            results[name] = argument.voi(
                name, crux, target, condition, base=options.parse_base(base), divergence=divergence, engine=engine
            )
            unit = {"log": f"log base {base}", "naive": "probability", "quadratic": "probability squared"}[divergence]
            lines += texts.describe_values(results[name], unit, "value of information")
            continue
        try:
            weights, evpi, notes = argument.sensitivity(name, target, condition, cost)
        except MesascopeError as error:
            results[name] = {"reason": str(error)}
            lines.append(f"  no answer: {error}")
            continue
        results[name] = {"claims": weights, "evpi": evpi, "assumptions": notes}
        lines += texts.describe_claim_weights(weights, cost, evpi)
        lines += [f"  assumes: {note}" for note in notes]
    return options.CommandOutput(results, lines)


@options.add_command("vod")
def rank_shared_cruxes(
    argument: Argument,
    pair: options.BetweenOption = None,
    crux: Annotated[str | None, typer.Option(help="One crux; by default every candidate of both.")] = None,
    target: options.TargetOption = None,
    base: options.BaseOption = "10",
    divergence: Annotated[str, typer.Option(help="log (symmetric KL) or naive (absolute differences).")] = "log",
    weights: Annotated[str, typer.Option(help="P(C) from the two: gmo (geometric mean of odds) or mean.")] = "gmo",
    engine: options.CruxEngineOption = "auto",
) -> options.CommandOutput:
    """Rank cruxes by how far learning them brings two people together, or drives these people apart (below 0).

    Example: mesascope crux vod --divergence naive
    """
    settings = {"base": options.parse_base(base), "weights": weights, "divergence": divergence, "engine": engine}
    values = argument.vod(*options.parse_pair(pair), crux, target, **settings)
    if not values:
        return options.CommandOutput(values, ["no crux that both people's claims mention"])
    unit = f"log base {base}, weights {weights}" if divergence == "log" else f"probability, weights {weights}"
    return options.CommandOutput(values, texts.describe_values(values, unit, "value of discrimination"))


@options.add_command("update")
def update_beliefs(
    argument: Argument,
    item: Annotated[
        list[str] | None,
        typer.Option(
            "--evidence",
            help="An evidence item or open question; repeat the option to combine items. By default all, one by one.",
        ),
    ] = None,
    pair: options.BetweenOption = None,
    hypothesis: Annotated[
        str | None,
        typer.Option(help="With several items: split the gap between two people's beliefs in this hypothesis."),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", help="For evidence that is a count: the number observed.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="For evidence that is a count: the number of cases.")] = None,
    is_opposite: Annotated[bool, typer.Option("--against", help="The opposite was observed.")] = False,
    to: Annotated[
        str | None, typer.Option(help="For a question: the new belief in its premise, such as '60%'.")
    ] = None,
    findings: options.FindingsOption = None,
) -> options.CommandOutput:
    """Update each person's belief on an observation, using only that person's own likelihood ratios.

    Example: mesascope crux update --evidence e3
    """
    if findings is not None:
        tallies = argument.update_from(findings)
        return options.CommandOutput(tallies, texts.describe_tallies(tallies))
    content = argument.content
    if item and (len(item) > 1 or (item[0] in content.evidence and content.evidence[item[0]].hypothesis_set)):
        require(
            k is None and n is None and not is_opposite and to is None,
            "Several items cannot be combined with --k, --n, --against or --to.",
            COUNTS_REMEDY,
        )
        posteriors = accumulate_evidence(argument, item)
        lines = texts.describe_posteriors(posteriors)
        if hypothesis is None:
            return options.CommandOutput(posteriors, lines)
        shares, ends = rank_ratios(argument, *argument.pick_pair(*options.parse_pair(pair)), item, hypothesis)
        result = {"posteriors": posteriors, "shares": shares, "ends": ends}
        return options.CommandOutput(result, lines + texts.describe_ratio_shares(shares, ends, hypothesis))
    single = [e.id for e in content.evidence.values() if not e.is_count and not e.hypothesis_set]
    items = item or [*single, *content.questions]
    if not items:
        problem = f"{argument.name} has neither a single observation nor a question."
        raise MesascopeError(problem, "Name an item: --evidence NAME.")
    results = {name: argument.update(name, k, n, not is_opposite, to=to) for name in items}
    lines = []
    for name, updates in results.items():
        entry = content.evidence.get(name) or content.questions[name]
        lines += [f"{name}: {entry.text}", *(f"  {line}" for line in texts.describe_updates(updates))]
    return options.CommandOutput(results, lines)


@options.add_command("decide")
def evaluate_decisions(
    argument: Argument,
    decision: Annotated[str | None, typer.Option(help="One decision; by default all.")] = None,
) -> options.CommandOutput:
    """Evaluate decisions: the expected utility of every action, and the value of learning something before deciding.

    Example: mesascope crux decide decision
    """
    reports = argument.decide(decision)
    return options.CommandOutput(reports, texts.describe_decisions(reports, argument.content.quantities))


@options.add_command("pool")
def pool_answers(
    argument: Argument,
    person: options.PersonOption = None,
    target: options.TargetOption = None,
    condition: options.ConditionOption = None,
    method: Annotated[str, typer.Option(help="Mean: linear, log, gmo, geometric or extremised.")] = "gmo",
    weights: Annotated[str | None, typer.Option(help="One weight per person, such as '2,1'.")] = None,
    factor: Annotated[
        float | None, typer.Option(min=0, max=100, help="Factor for extremised; by default from the number of people.")
    ] = None,
    base_rate: Annotated[float, typer.Option(help="Base rate for extremised.")] = 0.5,
    engine: options.EngineOption = "lp",
) -> options.CommandOutput:
    """Pool several people's lower ends, and their upper ends; people who refuse or state nothing are left out.

    Example: mesascope crux pool --method linear
    """
    try:
        numbers = [float(w) for w in weights.split(",")] if weights else None
    except ValueError:
        raise MesascopeError(f"The weights {weights!r} are not numbers.", "Example: --weights 2,1.") from None
    settings = {"weights": numbers, "factor": factor, "base": base_rate, "engine": engine}
    result = argument.pool(person or (), target, condition, method, **settings)
    return options.CommandOutput(result, texts.describe_pool(result))


@options.add_command("report")
def write_report(
    argument: Argument,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("crux.html"),
    findings: options.FindingsOption = None,
    should_use_points: Annotated[
        bool, typer.Option("--points", help="Split the gap between points of the answers, too.")
    ] = False,
) -> options.CommandOutput:
    """Write one HTML page: each person's answer, the argument, the cruxes, the evidence and every statement.

    Example: mesascope crux report --out crux.html
    """
    if not out.parent.is_dir():  # checked first, because drawing the page takes seconds
        problem = f"{str(out)!r} cannot be written: there is no folder {str(out.parent)!r}."
        raise MesascopeError(problem, "Name a file in a folder that exists.")
    options.write_file(out, argument.html(findings, should_use_points))
    return options.CommandOutput({"out": str(out)}, [f"wrote {out}"])


@options.add_command("ask")
def ask_reader(
    argument: Argument,
    page: Annotated[
        Path | None, typer.Option(help="Write the questions as a page with sliders instead of asking.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write your numbers as a crux file.")] = None,
) -> options.CommandOutput:
    """Ask you what you would expect to see, and show what follows; nobody else's numbers are shown.

    Example: mesascope crux ask --page mine.html
    """
    from mesascope.cruxes import reader

    if page is not None:
        options.write_file(page, reader.render_questions(argument))
        return options.CommandOutput({"page": str(page)}, [f"wrote {page}"], has_conventions=False)
    draft = reader.ask_reader(argument, _prompt, typer.echo)
    if save is not None:
        options.write_file(save, draft.write())
    lines = [f"wrote {save}"] if save else draft.write().splitlines()
    return options.CommandOutput({"text": draft.write()}, lines, has_conventions=False)


def _prompt(question: str) -> str:
    return typer.prompt(question, default="", show_default=False)


@options.app.command("init")
def start_file(
    file: Annotated[Path, typer.Argument(help="The crux file to write, or an existing one with --endorse.")],
    endorsed_claims: Annotated[
        list[str] | None,
        typer.Option("--endorse", help="Mark the reading of a claim as endorsed by its person; repeatable."),
    ] = None,
) -> None:
    """Write a crux file by asking who says what in which words. With --endorse, mark readings as endorsed instead.

    Example: mesascope crux init mine.toml --endorse a1
    """
    from mesascope.cruxes import reader

    if endorsed_claims:
        options.write_file(file, reader.endorse_claims(read_text(file), file.name, endorsed_claims))
        typer.echo(f"endorsed in {file}: {', '.join(endorsed_claims)}")
        return
    if file.exists():
        raise MesascopeError(f"{str(file)!r} exists already.", "Name a new file, or endorse claims with --endorse.")
    options.write_file(file, reader.draft_argument(_prompt, typer.echo).write())
    typer.echo(f"wrote {file}; next: mesascope crux check {file}")


@options.add_command("export")
def export_argument(
    argument: Argument,
    form: Annotated[
        str, typer.Option("--format", help="bif or squiggle (one person's numbers), csv (triads) or json (the file).")
    ] = "csv",
    person: Annotated[str | None, typer.Option(help="For bif and squiggle: the person.")] = None,
    out: Annotated[Path | None, typer.Option(help="A file; by default standard output.")] = None,
) -> options.CommandOutput:
    """Write the argument for other programs: BIF, Squiggle, the Forecasting Research Institute's CSV, or JSON.

    Example: mesascope crux export --format bif --person lister
    """
    writers = {"bif": argument.to_bif, "squiggle": argument.to_squiggle}
    if require_known_name("format", form, (*writers, "csv", "json")) in writers:
        require(
            person is not None, f"A {form} file contains one person's numbers.", "Name the person: --person lister."
        )
        text = writers[form](argument.pick_person(person or ""))
    else:
        text = (
            argument.to_fri_csv() if form == "csv" else json.dumps(tomllib.loads(argument.text), indent=1, default=str)
        )
    if out is not None:
        options.write_file(out, text)
    lines = [f"wrote {out}" if out else text.rstrip("\n")]
    return options.CommandOutput({"format": form, "text": text}, lines, has_conventions=False)
