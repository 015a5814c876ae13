"""`lifecert-fleet privacy`: consents, withdrawals, erasures with proof, timers, the filing duty, the register of processing."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet.app import Fleet, retention_rules
from fleet.clock import day_of
from fleet.commands.shared import (
    CONFIG,
    EXIT_FAILED,
    EXIT_USAGE,
    AsJson,
    Config,
    fail,
    named,
    opened,
    print_json,
    reporting,
    say,
)
from fleet.errors import NotFound, Refused
from fleet.keys import load_keys
from fleet.privacy import consent, erasure, filing, register, retention, ways
from fleet.privacy.proof import ErasureProof, Ground, read_proof
from fleet.privacy.working_days import load_calendar
from fleet.settings import load_settings
from fleet.store import consents
from fleet.store import erasure as erasures
from protocol.cases import OtherWay
from protocol.registration import FleetIdentity

app = typer.Typer(
    help="Consents, erasure with proof, what goes when its time is over, and what the law asks to be kept.",
    no_args_is_help=True,
)
Subject = Annotated[str, typer.Argument(help="Subject id or document number; - reads it from input.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]


class Form(StrEnum):
    """How a page is written."""

    MARKDOWN = "markdown"
    HTML = "html"


class Spoken(StrEnum):
    """A language."""

    ZH = "zh"
    EN = "en"


@app.command("consent")
def record_consent(
    subject: Subject,
    by: By,
    way: Annotated[consent.Way, typer.Option("--way", help="How it was given.")],
    language: Annotated[Spoken, typer.Option("--language", help="In which language.")] = Spoken.ZH,
    version: Annotated[str | None, typer.Option("--text", help="Version of the text; by default the newest.")] = None,
    witness: Annotated[str | None, typer.Option("--witness", help="Before whom; by default you.")] = None,
    given_on: Annotated[str | None, typer.Option("--on", help="Day on which it was given; by default now.")] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Record that somebody agreed to the processing of their face: to which text, when, how, before whom."""
    texts = consent.consent_texts()
    chosen = texts.get(version or list(texts)[-1])
    if chosen is None:
        fail(f"--text {version}: one of {', '.join(texts)} expected", EXIT_USAGE)
    with opened(config) as fleet:
        given_at = fleet.clock() if given_on is None else _start_of(_day(given_on, "--on"), fleet)
        given = consent.Given(chosen, language.value, way, given_at, witness or by)
        consent_id = consent.record(fleet.database, fleet.keys, named(subject), given, by=by, now=fleet.clock())
    if as_json:
        print_json({"consent_id": consent_id, "text": chosen.version, "sha256": chosen.digest(language.value)})
    else:
        say(f"consent {consent_id} to text {chosen.version} is recorded")


@app.command("texts")
def show_texts(language: Annotated[Spoken, typer.Option("--language", help="Which language.")] = Spoken.ZH) -> None:
    """Print the newest text that people agree to."""
    chosen = list(consent.consent_texts().values())[-1]
    typer.echo(chosen.zh if language is Spoken.ZH else chosen.en, nl=False)
    say(f"version {chosen.version}, SHA-256 {chosen.digest(language.value)}")


@app.command("withdraw")
def withdraw_consent(
    subject: Subject,
    by: By,
    other_way: Annotated[OtherWay, typer.Option("--other-way", help="What was offered in place of the face.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Withdraw somebody's consent: references erased here and on terminals, cards revoked, another way recorded as offered."""
    with opened(config) as fleet:
        done = consent.withdraw(
            fleet.database, fleet.keys, named(subject), other_way=other_way, by=by, now=fleet.clock()
        )
    if as_json:
        print_json(asdict(done))
        return
    say(
        f"subject {done.subject_id}: {done.references + done.waiting} references erased, {done.cards} cards revoked,"
        f" {done.terminals} terminals are told; offered: {other_way.value}"
    )
    if done.left:
        say(f"{done.left} references rest on statute and stay; a person decides about them (withdraw REFERENCE)")


@app.command("erase")
def erase_subject(
    subject: Subject,
    by: By,
    because: Annotated[str, typer.Option("--because", help="Why, recorded as well.")],
    ground: Annotated[Ground, typer.Option("--ground", help="On which ground of the law.")] = Ground.REQUEST,
    out: Annotated[Path | None, typer.Option("--out", help="Write the signed proof here.")] = None,
    although_entitled: Annotated[
        bool, typer.Option("--although-entitled", help="Somebody who is paid; payments are proven elsewhere.")
    ] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Erase somebody from all tables, and terminals, with a signed proof; two persons must say so, the second carries it out."""
    if out is not None and out.exists():
        fail(f"{out}: exists already; name another file", EXIT_USAGE)
    with opened(config) as fleet:
        request = erasure.Request(ground, by, because, although_entitled)
        done = erasure.erase(
            fleet.database,
            fleet.keys,
            named(subject),
            request,
            fleet_id=fleet.settings.fleet_id,
            zone=fleet.settings.zone(),
            word_kept=timedelta(days=fleet.settings.privacy.erasure_word_days),
            now=fleet.clock(),
        )
    if out is not None and done.proof is not None:
        _write(out, done.token)
    if as_json:
        print_json({"erasure_id": done.erasure_id, "words": done.words, "proof": _said(done.proof)})
    elif done.proof is None:
        say(f"erasure {done.erasure_id}: a second person must say so")
    else:
        say(
            f"erasure {done.erasure_id}: {sum(t.rows for t in done.proof.erased)} rows of"
            f" {sum(t.rows > 0 for t in done.proof.erased)} tables, {done.proof.terminals} terminals are told"
        )
        say("backups made before still hold the person: keep the proof with them (privacy reapply)")


@app.command("verify-proof")
def verify_proof(
    file: Annotated[Path, typer.Argument(help="Signed proof of an erasure.")],
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Fleet identity (`init --identity`), where no fleet is set up.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Check a proof without network and database: with the identity of the fleet alone."""
    with reporting():
        if identity is None:
            public = load_keys(load_settings(config).data_dir / "keys").signing.public()
        else:
            public = FleetIdentity.parse(_read(identity)).signing_key
        proof = read_proof(_read(file), public.only)
    if as_json:
        print_json(proof.model_dump(mode="json"))
        return
    say(f"{file}: signed by fleet {proof.fleet_id} with key {public.key_id}")
    say(f"erased at {proof.erased_at.isoformat(timespec='seconds')}, ground: {proof.ground}")
    for table in proof.erased:
        if table.rows:
            say(f"{table.table}: {table.rows} rows, {table.erase}")


@app.command("proofs")
def write_proofs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them, one file for each erasure.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write the signed proofs of all erasures that are not in a folder yet: to be kept with the backups."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = erasures.proofs(connection)
        new = {name: token for name, token in found.items() if not (folder / f"{name}.jws").exists()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, token in new.items():
                (folder / f"{name}.jws").write_bytes(token + b"\n")
        except OSError as error:
            raise Refused(f"{folder}: cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"proofs": len(found), "written": sorted(new)})
    else:
        say(f"{folder}: {len(new)} proofs written, {len(found)} in all")


@app.command("reapply")
def reapply_proofs(
    files: Annotated[list[Path], typer.Argument(help="Signed proofs.")],
    by: By,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """After a backup was restored: erase again whoever these proofs say was erased."""
    with opened(config) as fleet:
        key_of = fleet.keys.signing.public().only
        proofs = [read_proof(_read(file), key_of) for file in files]
        done = erasure.reapply(
            fleet.database, fleet.keys, proofs, fleet_id=fleet.settings.fleet_id, by=by, now=fleet.clock()
        )
    if as_json:
        print_json({"proofs": len(proofs), "erased": [each.erasure_id for each in done]})
    else:
        say(f"{len(proofs)} proofs, {len(done)} people were back and are erased again")


@app.command("clean")
def clean_now(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Erase and pseudonymise now what is over; the service does it every day."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        found = retention.clean(fleet.database, retention_rules(fleet.settings), zone=zone, now=fleet.clock())
    if as_json:
        print_json({"tables": found})
        return
    for table, rows in found.items():
        say(f"{table}: {rows} rows")
    if not found:
        say("nothing is over")


@app.command("status")
def show_status(
    check: Annotated[bool, typer.Option("--check", help="Exit 1 while a filing is due or overdue.")] = False,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show how many faces are stored, on what they rest, and whether that must be filed."""
    with opened(config) as fleet:
        today = day_of(fleet.clock(), fleet.settings.zone())
        calendar = load_calendar(fleet.settings.privacy.calendar_file)
        with fleet.database.begin() as connection:
            persons = filing.count(connection, today=today)
            found = filing.filing(persons, consents.marks(connection), calendar, today=today)
            rests = consents.bases(connection)
    if as_json:
        print_json({"filing": _plain(asdict(found)), "limit": filing.PERSONS, "bases": asdict(rests)})
    else:
        say(f"{persons} persons with a stored face, {filing.PERSONS} must be filed: {found.state}")
        if found.deadline is not None:
            near = (
                "" if found.is_calendar_known else " (holidays of these years are not known: set privacy.calendar_file)"
            )
            say(
                f"reached on {found.reached_on}, to be filed by {found.deadline}{near}; filed: {found.filed_on or 'no'}"
            )
        say(f"references on statute {rests.statute}, on recorded consent {rests.consent}")
        if rests.unrecorded:
            say(
                f"references on a consent that nobody recorded: {rests.unrecorded} persons; record it (privacy consent)"
            )
    if check and found.state in ("due", "overdue"):
        raise typer.Exit(EXIT_FAILED)


@app.command("filed")
def note_filed(
    on: Annotated[str, typer.Argument(metavar="DATE", help="Day of the filing.")], by: By, config: Config = CONFIG
) -> None:
    """Note that the storage of faces was filed with the authority."""
    day = _day(on, "DATE")
    with opened(config) as fleet:
        if day > day_of(fleet.clock(), fleet.settings.zone()):
            raise Refused(f"{day}: lies in the future")
        filing.note_filed(fleet.database, fleet.keys, on=day, by=by, now=fleet.clock())
    say(f"filed on {day}")


@app.command("register")
def print_register(
    language: Annotated[Spoken, typer.Option("--language", help="Which language.")] = Spoken.ZH,
    form: Annotated[Form, typer.Option("--format", help="How it is written.")] = Form.MARKDOWN,
) -> None:
    """Print the register of processing: what stands in which table, why, for how long, and what an erasure does to it."""
    found = register.load_register()
    write = register.as_html if form is Form.HTML else register.as_markdown
    typer.echo(write(found, "zh" if language is Spoken.ZH else "en"), nl=False)


@app.command("ways")
def show_ways(
    since: Annotated[str, typer.Option("--since", help="First day of the period.")],
    until: Annotated[str | None, typer.Option("--until", help="Last day of the period; by default today.")] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show which other ways than the face were recorded as offered, and which terminals recorded none."""
    first = _day(since, "--since")
    with opened(config) as fleet:
        start = _start_of(first, fleet)
        end = fleet.clock() if until is None else _end_of(_day(until, "--until"), fleet)
        with fleet.database.begin() as connection:
            found = ways.offered(
                consents.ways_offered(connection, start, end), consents.withdrawal_ways(connection, start, end)
            )
    if as_json:
        print_json(asdict(found))
        return
    for title, counts in (("at terminals", found.ways), ("at withdrawals", found.withdrawals)):
        say(f"{title}: " + (", ".join(f"{way} {times}" for way, times in counts.items()) or "none"))
    if found.never:
        say(f"terminals that recorded none: {', '.join(found.never)}")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a date like 2026-11-20 expected", EXIT_USAGE)


def _start_of(day: date, fleet: Fleet) -> datetime:
    return datetime.combine(day, time(), fleet.settings.zone()).astimezone(UTC)


def _end_of(day: date, fleet: Fleet) -> datetime:
    return datetime.combine(day, time.max, fleet.settings.zone()).astimezone(UTC)


def _said(proof: ErasureProof | None) -> dict[str, Any] | None:
    return None if proof is None else proof.model_dump(mode="json")


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file") from error
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from error


def _write(path: Path, token: bytes) -> None:
    try:
        path.write_bytes(token + b"\n")
    except OSError as error:
        # The proof is in the database as well.
        fail(
            f"{path}: cannot be written: {error.strerror}; the person is erased, the proof is kept in the database",
            EXIT_FAILED,
        )
