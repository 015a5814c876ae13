"""`lifecert-fleet duplicates`: who may be listed, or paid, twice; a queue that two persons decide."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import Progress

from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, Config, fail, opened, print_json, say, stderr, table
from fleet.duplicates import benefits as lists
from fleet.duplicates import queue
from fleet.duplicates.combinations import load_combinations
from fleet.duplicates.runs import NETWORK
from fleet.store import duplicates
from fleet.tables.writing import write_new

app = typer.Typer(help="People who may be listed or paid twice, for two persons to decide.", no_args_is_help=True)
HitId = Annotated[str, typer.Argument(metavar="HIT_ID", help="Id of the hit.")]


class Verdict(StrEnum):
    """What somebody says of a hit, as typed."""

    SAME_PERSON = "same-person"
    DIFFERENT = "different"
    UNCLEAR = "unclear"


@app.command("search")
def search_faces(
    network: Annotated[str, typer.Option("--network", help="Under which name the policy has thresholds.")] = NETWORK,
    model: Annotated[
        str | None, typer.Option("--model", help="Beginning of the network's SHA-256, where there are several.")
    ] = None,
    area: Annotated[str | None, typer.Option("--area", help="Only among the people of this area.")] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=-1, max=1, help="Least cosine, in place of the one worked out.")
    ] = None,
    both_sexes: Annotated[bool, typer.Option("--both-sexes", help="Compare whatever sex documents say.")] = False,
    all_ages: Annotated[bool, typer.Option("--all-ages", help="Compare whatever year of birth documents say.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Compare new references with all others; cut off, it goes on where it was. What is alike enough comes into the queue."""
    # Loaded here, because the other commands need no numpy.
    from fleet.duplicates import search
    from fleet.duplicates.matrix import Blocking

    with opened(config) as fleet:
        limits = fleet.settings.duplicates
        blocking = Blocking(limits.same_sex and not both_sexes, None if all_ages else limits.birth_years)
        wanted = search.Wanted(network, blocking, limits.fpir, limits.most_hits, area, model, threshold)
        with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
            bar = progress.add_task("references")
            done = search.search(
                fleet.database,
                wanted,
                clock=fleet.clock,
                on_progress=lambda count, total: progress.update(bar, completed=count, total=total),
            )
    if as_json:
        print_json(
            {
                "searches": [{**asdict(each), "comparisons_per_s": each.comparisons_per_s} for each in done.searches],
                "left_out": [
                    {"model_sha256": model, "key_domain": domain, "people": people}
                    for model, domain, people in done.left_out
                ],
            }
        )
        return
    for each in done.searches:
        say(
            f"key domain {each.key_domain}: {each.new} new of {each.references} references of {each.people} people,"
            f" {each.comparisons} comparisons ({each.scope}), {each.hits} new hits"
        )
        expected = "not known" if each.expected_false_hits is None else f"{each.expected_false_hits:.1f}"
        say(f"threshold {each.threshold:.3f} ({each.basis}); false hits to be expected: {expected}")
    for model, domain, people in done.left_out:
        say(f"not compared: {people} people with references of network {model[:12]} in key domain {domain}")
    if len(done.searches) > 1:
        say("references of different key domains cannot be compared; `references rotate` brings them together")


@app.command("benefits")
def check_benefits(
    elsewhere: Annotated[
        Path | None, typer.Option("--elsewhere", help="List of another system: CSV token,scheme,region.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Secret agreed on with that system, 32 bytes.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Whose list it is.")] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write this fleet's list for another system, with --key.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", help="Your name, recorded as you give it; with another system's list, or for it."),
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Look for people with benefits that may not stand side by side, under one document, two, or in another system."""
    is_shared = elsewhere is not None or export is not None
    if (elsewhere is None) != (source is None) or (key is not None, by is not None) != (is_shared, is_shared):
        fail("--elsewhere, --source, --key and --by go together; --export needs --key and --by", EXIT_USAGE)
    with opened(config) as fleet:
        cipher, now = fleet.keys.cipher, fleet.clock()
        if export is not None and key is not None and by is not None:
            secret = lists.read_shared_key(key)
            listed = lists.own_list(fleet.database, cipher, key=secret, by=by, now=now)
            write_new(export, listed)
            say(f"list written to {export}; tokens are no anonymous data: carry it like one of names")
            return
        rules = load_combinations(fleet.settings.duplicates.combinations_file)
        done: dict[str, lists.Compared] = {}
        if elsewhere is not None and key is not None and source is not None and by is not None:
            rows, secret = lists.read_elsewhere(elsewhere), lists.read_shared_key(key)
            done["elsewhere"] = lists.check_elsewhere(
                fleet.database, cipher, rows, rules, key=secret, source=source, by=by, now=now
            )
        else:
            done["benefits"] = lists.check_lists(fleet.database, rules, now=now, zone=fleet.settings.zone())
            done["documents"] = lists.check_documents(fleet.database, cipher, now=now)
    if as_json:
        print_json({name: asdict(found) for name, found in done.items()})
        return
    for name, found in done.items():
        say(f"{name}: {found.people} people compared, {found.suspicions} suspicions, {found.hits} new in the queue")


@app.command("list")
def list_hits(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List what waits for two persons, the most alike first."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found = queue.open_hits(connection)
    rows: list[dict[str, Any]] = [
        {
            "hit_id": hit.hit_id,
            "kind": hit.kind,
            "subjects": sorted({hit.first_subject, hit.second_subject}),
            "what": hit.what,
            "score": hit.score,
            "threshold": hit.threshold,
            "found": f"{hit.found_at.astimezone(zone):%Y-%m-%d %H:%M}",
            "state": hit.state,
            "first_word": hit.first_word,
        }
        for hit in found
    ]
    if as_json:
        print_json({"hits": rows})
        return
    shown = table("hit", "kind", "subjects", "what", "score", "threshold", "found", "state", "first word")
    for row in rows:
        shown.add_row(*(escape(_cell(value)) for value in row.values()))
    Terminal().print(shown)


@app.command("show")
def show_hit(
    hit_id: HitId,
    reader: Annotated[str, typer.Option("--reader", help="Your name, recorded as you give it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why you look at it, recorded as well.")],
    names: Annotated[bool, typer.Option("--names", help="Show names and the last digits of numbers, too.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show one hit with both sides' facts; who looks and why is written down before. Pictures are not shown."""
    with opened(config) as fleet:
        found = queue.show(
            fleet.database, fleet.keys, hit_id, reader=reader, reason=reason, with_names=names, now=fleet.clock()
        )
    words = [{**asdict(word), "approved_at": word.approved_at.isoformat(timespec="seconds")} for word in found.words]
    hit = {
        **asdict(found.hit),
        "found_at": found.hit.found_at.isoformat(timespec="seconds"),
        "decided_at": None if found.hit.decided_at is None else found.hit.decided_at.isoformat(timespec="seconds"),
    }
    if as_json:
        print_json({"hit": hit, "sides": list(found.sides), "words": words})
        return
    facts = table("field", *("first", "second")[: len(found.sides)])
    for name in found.sides[0]:
        facts.add_row(name, *(escape(_cell(side[name])) for side in found.sides))
    Terminal().print(facts)
    say(", ".join(f"{name} {_cell(value)}" for name, value in hit.items() if value not in (None, "")))
    for word in words:
        say(f"word of {word['name']} at {word['approved_at']}: {word['reason']}")


@app.command("decide")
def decide_hit(
    hit_id: HitId,
    verdict: Annotated[Verdict, typer.Argument(help="What it is.")],
    by: Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")],
    because: Annotated[str, typer.Option("--because", help="Why, recorded as well.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Say what a hit is; the second person who says the same decides it, and it is not found again."""
    words: dict[Verdict, duplicates.Verdict] = {
        Verdict.SAME_PERSON: "same_person",
        Verdict.DIFFERENT: "different",
        Verdict.UNCLEAR: "unclear",
    }
    with opened(config) as fleet, fleet.database.begin() as connection:
        done = queue.decide(
            connection, fleet.keys.cipher, hit_id, words[verdict], by=by, reason=because, now=fleet.clock()
        )
    if as_json:
        print_json(asdict(done))
    elif done.state == "open":
        say(f"duplicate {hit_id}: a second person must say what it is")
    else:
        say(f"duplicate {hit_id}: {done.state}")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
