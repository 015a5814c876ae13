"""`lifecert-terminal`: the terminal program's command line. Everything heavy is imported inside the commands."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import BaseModel

    from device.app.clip import ClipResult
    from device.app.stick import NotedCourier
    from device.courier.courier import OnProgress
    from device.ports import AttachmentStore, Outbox
    from device.settings import Settings
    from protocol.decommissioning import DecommissionProof
    from protocol.registration import FleetIdentity
    from protocol.times import DeviceTime

DONE, CHECK_FAILED, USAGE, BAD_SETTINGS = 0, 1, 2, 78

_DEFAULT_CONFIG = Path("/etc/lifecert/terminal.toml")

app = typer.Typer(
    name="lifecert-terminal",
    help="Proof-of-life certification terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

outbox_app = typer.Typer(help="Look at the records that wait on this terminal.", no_args_is_help=True)
app.add_typer(outbox_app, name="outbox")

references_app = typer.Typer(help="What this terminal holds about people.", no_args_is_help=True)
app.add_typer(references_app, name="references")

courier_app = typer.Typer(help="Carry data on a stick: records out, receipts and rosters home.", no_args_is_help=True)
app.add_typer(courier_app, name="courier")

voice_app = typer.Typer(
    help="Make and check the packs of sound files that the terminal speaks with.", no_args_is_help=True
)
app.add_typer(voice_app, name="voice")

update_app = typer.Typer(help="Bundles of programs, networks and voices: install, examine, look.", no_args_is_help=True)
app.add_typer(update_app, name="update")

_MOST_LISTED = 1000


class ReferenceKind(StrEnum):
    """How the picture given with --reference was made."""

    LIVE = "live"
    PHOTO = "photo"


ConfigOption = Annotated[Path, typer.Option("--config", help="Settings file (TOML).")]
MaybeConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; says which networks and runtime. Default: the shipped ones."),
]
FleetOption = Annotated[
    Path | None, typer.Option("--fleet", help="Fleet identity to check with, on a computer that is no terminal.")
]
StickArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Where the stick is mounted.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"lifecert-terminal {version('lifecert')}")
        raise typer.Exit


@app.callback()
def common(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log for developers, to stderr.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback prints and ends
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Proof-of-life certification terminal."""
    # The video libraries write their own lines to stderr, beside the one message that says what is wrong with a file.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


@app.command()
def run(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Serve people until told to stop."""
    with _starting():
        from device.app.decommissioning import is_asked_to_be_erased, is_decommissioned
        from device.app.service import run as serve
        from device.app.service import run_erased, run_until_erased
        from device.errors import DeviceError

        settings = _load(config)
    try:
        if is_decommissioned(settings):
            run_erased(settings)
        elif is_asked_to_be_erased(settings):
            run_until_erased(settings)
        else:
            serve(settings)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@app.command("check-settings")
def check_settings(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Read the settings as `run` does, on any computer, and say everything that is wrong with them. Exit code 78 if anything is."""
    _load(config, credentials=config.resolve().parent)
    typer.echo(f"{config}: in order")


@app.command()
def erased(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Say that this terminal was taken out of service, until told to stop; needs none of its keys."""
    with _starting():
        from device.app.service import run_erased
        from device.errors import DeviceError

        settings = _load(config, credentials=config.resolve().parent)
    try:
        run_erased(settings)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@app.command()
def uplink(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Carry records to the fleet, and receipts, roster and policy back, until told to stop."""
    with _starting():
        from device.app.decommissioning import is_decommissioned
        from device.errors import DeviceError
        from device.uplink.service import run as carry

        settings = _load(config)
    if is_decommissioned(settings):
        _fail("this terminal is decommissioned: it has no keys and nothing to send", BAD_SETTINGS)
    try:
        carry(settings)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@app.command()
def certify(
    *,
    subject: Annotated[str, typer.Option("--subject", help="Identity number of the claim.")],
    frames: Annotated[Path, typer.Option("--frames", help="Video, GIF, image folder or clip description.")],
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="Picture to compare with, or description of a layered clip; without it the outcome is no_reference.",
        ),
    ] = None,
    reference_kind: Annotated[
        ReferenceKind, typer.Option("--reference-kind", help="A photo enrols but never certifies by itself.")
    ] = ReferenceKind.LIVE,
    path: Annotated[str, typer.Option("--path", help="Way through the session, as the policy names it.")] = "standard",
    witness: Annotated[
        str | None, typer.Option("--witness", help="Operator id of whoever vouches: letters, digits, hyphens.")
    ] = None,
    config: MaybeConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Carry out one session on a clip in fast time and print the decision; nothing is stored or sent."""
    from device.adapters.inference_tflite import open_networks
    from device.app.clip import certify_clip, reference_picture
    from device.errors import CameraUnavailable, ClipInvalid, NetworkRefused, PictureUnsuitable
    from protocol.documents import parse_document
    from protocol.errors import Malformed
    from protocol.ids import parse_witness
    from protocol.policy import PathName, default_policy
    from protocol.references import CaptureKind

    _quiet()
    if path not in set(PathName):
        _fail(f"path {path}: expected one of {', '.join(PathName)}", USAGE)
    where, features, runtime = _networks_of(config)
    try:
        # What can be wrong with the arguments is told before the networks are loaded.
        parse_document(subject)
        if witness is not None:
            parse_witness(witness)
        if not frames.exists():
            _fail(f"clip {frames}: no such file", USAGE)
        picture = None
        if reference is not None:
            picture = reference_picture(reference, CaptureKind(reference_kind.value))
        networks = open_networks(where, features=features, runtime=runtime)
        result = certify_clip(
            subject,
            frames,
            networks=networks,
            policy=default_policy(),
            reference=picture,
            path=PathName(path),
            witness=witness,
        )
    except (CameraUnavailable, ClipInvalid, PictureUnsuitable, Malformed) as error:
        _fail(str(error), USAGE)
    except NetworkRefused as error:
        _fail(str(error), CHECK_FAILED)
    typer.echo(result.model_dump_json(indent=2) if as_json else _describe(result))


@app.command()
def features(
    image: Annotated[
        str,
        typer.Argument(
            help="Picture with one face, or description of a layered clip; - reads a picture from standard input."
        ),
    ],
    config: MaybeConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the features of the one face in a picture, for the fleet's enrolment."""
    from device.adapters.inference_tflite import open_networks
    from device.app.clip import picture_bytes
    from device.app.enrol import feature_report
    from device.errors import CameraUnavailable, ClipInvalid, NetworkRefused, PictureUnsuitable

    _quiet()
    where, name, runtime = _networks_of(config)
    shown = "(standard input)" if image == "-" else Path(image).name
    if image != "-" and not Path(image).is_file():
        _fail(f"picture {image}: no such file", USAGE)
    try:
        content = sys.stdin.buffer.read() if image == "-" else picture_bytes(Path(image))
        report = feature_report(content, open_networks(where, features=name, runtime=runtime), name=shown)
    except (CameraUnavailable, ClipInvalid, PictureUnsuitable, NetworkRefused) as error:
        _fail(str(error), CHECK_FAILED)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        typer.echo(f"{report.model_name} on {report.runtime}, quality {report.overall_quality:.0f} of 100")
        typer.echo("\n".join(f"  {component}: {value:.0f}" for component, value in report.quality.items()))


@app.command("check-photos")
def check_photos(
    pictures: Annotated[
        list[str],
        typer.Argument(
            help="Photograph files; - reads them from standard input, each after its length (4 bytes, big-endian)."
        ),
    ],
    config: MaybeConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at photograph files as an agency takes them in: ground, face, head; one line each, features with --json."""
    from device.adapters.inference_tflite import open_networks
    from device.app.photo_files import PhotoChecker
    from device.errors import NetworkRefused
    from protocol.errors import Malformed

    _quiet()
    where, name, runtime = _networks_of(config)
    is_stream = pictures == ["-"]
    if missing := [each for each in pictures if not is_stream and not Path(each).is_file()]:
        _fail(f"picture {missing[0]}: no such file", USAGE)
    try:
        checker = PhotoChecker(open_networks(where, features=name, runtime=runtime))
        found = (
            checker.reports(sys.stdin.buffer)
            if is_stream
            else (checker.report(Path(each).read_bytes()) for each in pictures)
        )
        for number, report in enumerate(found, 1):
            wrong = [check.name for check in report.checks if not check.passed]
            typer.echo(report.model_dump_json() if as_json else f"{number}: {', '.join(wrong) or 'in order'}")
            # The fleet waits for each answer before it sends the next picture.
            sys.stdout.flush()
    except (Malformed, NetworkRefused) as error:
        _fail(str(error), CHECK_FAILED)
    except OSError as error:
        _fail(f"picture: cannot be read: {error.strerror}", CHECK_FAILED)


@app.command("verify-slip")
def verify_slip(
    text: Annotated[str, typer.Argument(help="Scanned text of a result slip; - reads it from standard input.")],
    config: ConfigOption = _DEFAULT_CONFIG,
    *,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a result slip is genuine and holds today; no network is needed."""
    from device.app.slips import check_as_data, check_in_words
    from device.app.slips import verify_slip as check

    _quiet()
    identity, languages, now = _slip_checker(config, fleet)
    found = check(_scanned(text), identity, now)
    if as_json:
        typer.echo(json.dumps(check_as_data(found, now), indent=2))
    else:
        typer.echo(check_in_words(found, now, languages))
    raise typer.Exit(DONE if found.is_valid else CHECK_FAILED)


@app.command("slip")
def slip(
    text: Annotated[str, typer.Argument(help="Text of a result slip; - reads it from standard input.")],
    config: ConfigOption = _DEFAULT_CONFIG,
    *,
    png: Annotated[
        Path | None, typer.Option("--png", help="Write it as a picture; it shows a person's result.")
    ] = None,
    is_printed: Annotated[bool, typer.Option("--print", help="Print it on the terminal's printer.")] = False,
) -> None:
    """Make a genuine slip anew, as a picture or on paper."""
    from device.adapters.signer_keyfile import load_fleet_identity
    from device.app.slips import print_now, slip_sheet
    from device.errors import DeviceError
    from device.slip_picture import sheet_png
    from protocol.errors import ProtocolError

    _quiet()
    if png is None and not is_printed:
        _fail("slip: give --png FILE or --print, or both", USAGE)
    settings = _load(config)
    terminal, printer = settings.terminal, settings.printer
    if is_printed and printer.kind == "none":
        _fail("slip: the settings name no printer; set [printer] kind", USAGE)
    try:
        fleet_key = load_fleet_identity(settings.keys.fleet, fleet_id=terminal.fleet_id).signing_key
        page_url = settings.slip.page_url
        sheet = slip_sheet(_scanned(text), fleet_key=fleet_key, languages=terminal.languages, page_url=page_url)
        if png is not None:
            png.write_bytes(sheet_png(sheet.lines, sheet.content, width_px=printer.width_dots, font=printer.font))
            if printer.font is None:
                typer.echo("without printer.font in the settings the picture is the code alone", err=True)
        if is_printed:
            print_now(sheet, printer)
    except (DeviceError, ProtocolError) as error:
        _fail(str(error), CHECK_FAILED)
    except OSError as error:
        _fail(f"slip {png}: cannot be written: {error.strerror}", USAGE)


@app.command()
def selftest(config: ConfigOption = _DEFAULT_CONFIG, *, as_json: JsonOption = False) -> None:
    """Try every part a session needs and report."""
    from device.app.selftest import selftest as try_everything

    report = try_everything(_load(config))
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        for check in report.checks:
            typer.echo(f"{check.status:8} {check.name}: {check.detail} ({check.seconds:.1f} s)")
    raise typer.Exit(DONE if report.passed else CHECK_FAILED)


@app.command()
def commission(
    config: ConfigOption = _DEFAULT_CONFIG,
    *,
    lines: Annotated[
        bool,
        typer.Option(
            "--lines", help="Speak JSON lines with the technician's tool, for `lifecert-provision commission`."
        ),
    ] = False,
) -> None:
    """Try everything on the spot, ask whoever is there, and sign a report for the fleet. The terminal's service must be stopped."""
    from device.app.commissioning import commission as try_everything
    from device.app.people import LinePeople, SpokenPeople
    from device.errors import DeviceError

    settings = _load(config)
    people = LinePeople(sys.stdin, sys.stdout) if lines else SpokenPeople(sys.stdin, sys.stdout, settings)
    try:
        report, envelope = try_everything(settings, people)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)
    people.end(report, envelope)
    raise typer.Exit(DONE if report.passed else CHECK_FAILED)


@app.command()
def measure(
    *,
    frames: Annotated[
        Path, typer.Option("--frames", help="Video, GIF, image folder; or, with --subject, a clip description.")
    ],
    subject: Annotated[
        str | None, typer.Option("--subject", help="Identity number: measure a whole session instead of the start.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="Picture to compare with in the session.")
    ] = None,
    config: MaybeConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a start or a session costs this computer: seconds, memory, and how much of it is our own code."""
    from device.adapters.inference_tflite import open_networks
    from device.app import service  # noqa: F401 - what is measured is the terminal's process, with all it imports
    from device.app.measure import measure_session, measure_start
    from device.errors import CameraUnavailable, ClipInvalid, NetworkRefused, PictureUnsuitable
    from protocol.errors import Malformed
    from protocol.policy import default_policy
    from protocol.references import CaptureKind

    _quiet()
    where, features, runtime = _networks_of(config)
    try:
        if subject is None:
            cost: BaseModel = measure_start(frames, models_dir=where, features=features, runtime=runtime)
        else:
            from device.app.clip import reference_picture

            picture = None
            if reference is not None:
                picture = reference_picture(reference, CaptureKind.LIVE)
            networks = open_networks(where, features=features, runtime=runtime)
            cost = measure_session(subject, frames, networks=networks, policy=default_policy(), reference=picture)
    except (CameraUnavailable, ClipInvalid, PictureUnsuitable, Malformed) as error:
        _fail(str(error), USAGE)
    except NetworkRefused as error:
        _fail(str(error), CHECK_FAILED)
    if as_json:
        typer.echo(cost.model_dump_json(indent=2))
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in cost.model_dump().items()))


@outbox_app.command("list")
def list_outbox(config: ConfigOption = _DEFAULT_CONFIG, *, as_json: JsonOption = False) -> None:
    """Count records, and pictures of cases, by state and list those the fleet has refused, with its reasons."""
    from device.app.pictures import told
    from protocol.presence import PictureCounts, tally

    with _outbox(config) as outbox:
        counts = outbox.counts()
        refused = outbox.refused(_MOST_LISTED)
    with _pictures(config) as store:
        pictures = PictureCounts(waiting=0, refused=0) if store is None else store.counts()
        refused_pictures = () if store is None else store.refused(_MOST_LISTED)
    if as_json:
        found = {
            "counts": counts.model_dump(),
            "refused": [asdict(row) for row in refused],
            "pictures": pictures.model_dump(),
            "refused_pictures": [asdict(row) for row in refused_pictures],
        }
        typer.echo(json.dumps(found, indent=2))
        return
    whole = tally(counts)
    typer.echo(f"stored {whole.stored}, confirmed {whole.confirmed}")
    for state, number in counts.model_dump(exclude={"stored"}).items():
        typer.echo(f"{state:12} {number}")
    for row in refused:
        typer.echo(f"refused      {row.sha256} counter {row.counter}: {row.reason or 'no reason given'}")
    if counts.refused > len(refused):
        typer.echo(f"refused      {counts.refused - len(refused)} more")
    typer.echo(told(pictures))
    for picture in refused_pictures:
        typer.echo(f"refused      {picture.sha256} picture: {picture.reason or 'no reason given'}")
    if pictures.refused > len(refused_pictures):
        typer.echo(f"refused      {pictures.refused - len(refused_pictures)} more pictures")


@outbox_app.command("retry")
def retry_outbox(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Send all refused records and pictures again: after the fleet or this terminal's registration was put right."""
    with _outbox(config) as outbox:
        number = outbox.retry_refused(outbox.counts().refused)
    typer.echo(f"{number} records will be sent again")
    with _pictures(config) as store:
        pictures = 0 if store is None else store.retry_refused(store.counts().refused)
    typer.echo(f"{pictures} pictures will be sent again")


@app.command("decommission")
def decommission_terminal(
    *,
    out: Annotated[Path, typer.Option("--out", help="Write the signed statement here.")],
    config: ConfigOption = _DEFAULT_CONFIG,
    export: Annotated[
        Path | None,
        typer.Option("--export", help="First put what the fleet has not confirmed onto the stick mounted here."),
    ] = None,
    lose_records: Annotated[
        int, typer.Option("--lose-records", min=0, help="Give up exactly so many records and pictures for ever.")
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    is_asked: Annotated[
        bool,
        typer.Option("--if-asked", help="Begin only if the fleet's signed command for it lies in the data folder."),
    ] = False,
    is_taken: Annotated[
        bool,
        typer.Option("--taken-there", help="Whoever runs this takes the statement to the fleet, and says so."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase this terminal and destroy its keys, for good; the last of them signs what was done. Can be cut off and run again.

    Run it as root, with the terminal and the uplink stopped. Keys named as systemd credentials are looked for beside the settings.
    """
    from device.app.decommissioning import Exported, decommission, is_decommissioned, statement_of, with_key_files
    from device.courier.service import open_courier
    from device.errors import DeviceError
    from device.slip_picture import code_in_text
    from protocol.decommissioning import proof_to_qr

    _quiet()
    settings = with_key_files(_load(config, credentials=config.resolve().parent))
    if not yes:
        name = typer.prompt(
            f"Type {settings.terminal.terminal_id} to erase it for ever", default="", show_default=False, err=True
        )
        if name != settings.terminal.terminal_id:
            _fail("another name was typed; nothing was done", USAGE)
    try:
        exported = Exported()
        if export is not None and not is_decommissioned(settings):
            # Not the one that notes the export in the chain: that note itself would then be on no stick.
            with open_courier(settings) as (courier, _):
                done = courier.export_to(export, everything=False)
                exported = Exported(done.records, done.pictures)
        token = decommission(
            settings,
            out=out,
            exported=exported,
            lose=lose_records,
            now=_moment,
            is_asked=is_asked,
            on_step=lambda step: typer.echo(step, err=True),
        )
        proof = statement_of(token)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)
    if as_json:
        typer.echo(proof.model_dump_json(indent=2))
        return
    typer.echo(code_in_text(proof_to_qr(token)))
    typer.echo(
        f"terminal {proof.terminal_id} is erased: {len(proof.parts)} files, {proof.subjects} people, keys destroyed"
    )
    typer.echo(f"records lost {proof.records_lost}, pictures lost {proof.pictures_lost}, {_traces(proof)}")
    if not is_taken:
        typer.echo(f"take {out} to the fleet: lifecert-fleet terminals decommissioned {out.name} --by NAME")


def _traces(proof: DecommissionProof) -> str:
    return "traces not looked for" if proof.traces is None else f"traces found {proof.traces}"


@app.command("decommission-asked")
def decommission_asked(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Exit 0 if this terminal is being erased already, or the fleet's signed command for it has come; changes nothing else."""
    from device.app.decommissioning import check_asked
    from device.errors import DeviceError

    _quiet()
    try:
        check_asked(_load(config, credentials=config.resolve().parent), _moment())
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@app.command("decommission-told")
def decommission_told(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Note that the fleet has the signed statement, so that nobody takes it there again; `lifecert-provision decommission` does."""
    from device.app.decommissioning import note_told
    from device.errors import DeviceError

    _quiet()
    try:
        note_told(_load(config, credentials=config.resolve().parent))
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@app.command("logs")
def pack_logs(
    *,
    out: Annotated[Path, typer.Option("--out", help="ZIP archive to write.")],
    config: ConfigOption = _DEFAULT_CONFIG,
    log: Annotated[
        list[Path] | None, typer.Option("--log", help="A log file in place of the system's journal; may be repeated.")
    ] = None,
) -> None:
    """Pack log, versions, condition, counters and settings into one file, without anything about a person and without secrets."""
    from device.app.log_bundle import bundle, journal_lines
    from device.errors import DeviceError

    _quiet()
    settings = _load(config, credentials=config.resolve().parent)
    try:
        lines = (
            journal_lines()
            if not log
            else [line for path in log for line in path.read_text(errors="replace").splitlines()]
        )
        packed = bundle(settings, lines, now=_moment())
        out.write_bytes(packed)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}", CHECK_FAILED)
    typer.echo(f"{out}: {len(packed)} bytes, {len(lines)} {'line' if len(lines) == 1 else 'lines'} of log")


@references_app.command("erase")
def erase_references(
    config: ConfigOption = _DEFAULT_CONFIG,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Roster, card keys and the storage key.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Destroy the storage key and everything that was encrypted with it of the roster, and prove that nothing is left.

    The fleet sends a new roster as soon as the terminal asks. Stop the terminal and the uplink first.
    """
    from device.adapters.references_sqlite import erase_all
    from device.app.erasing import note_erasure
    from device.errors import DeviceError

    settings = _load(config)
    path, key = settings.references_path, settings.keys.storage.path
    if not everything:
        _fail("say --all: roster, card keys and storage key go together", USAGE)
    if not yes:
        typer.confirm(f"Erase {path} and destroy the storage key {key.name}?", abort=True, err=True)
    try:
        done = erase_all(path, key)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)
    why_not_noted = note_erasure(settings, done)
    proof = done.proof
    if as_json:
        typer.echo(json.dumps(asdict(done) | {"is_noted": why_not_noted is None}, indent=2))
    else:
        typer.echo(f"erased       {done.subjects} subjects, {done.references} references")
        typer.echo(f"looked for   {proof.looked_for} pieces, {proof.looked_for_bytes} bytes, SHA-256 {proof.digest}")
        typer.echo(f"searched     {proof.searched_bytes} bytes in {', '.join(proof.files) or 'no file'}")
        typer.echo(f"found        {proof.found}")
        typer.echo(f"storage key  {'destroyed' if done.is_key_destroyed else 'NOT destroyed'}")
    if why_not_noted is not None:
        typer.echo(f"the fleet is not told, tell it yourself: {why_not_noted}", err=True)
    if not done.is_key_destroyed:
        _fail(f"key file {key.name}: cannot be destroyed from here; destroy it where it is kept", CHECK_FAILED)
    if not proof.is_clean:
        _fail("something is left; run this again", CHECK_FAILED)


@courier_app.command("list")
def list_sticks(config: ConfigOption = _DEFAULT_CONFIG, *, as_json: JsonOption = False) -> None:
    """List the sticks that are plugged in and mounted."""
    from device.courier.sticks import mounted_sticks

    root = _load(config).courier.mount_root
    found = mounted_sticks(root)
    if as_json:
        typer.echo(json.dumps([{"path": str(stick.path), "read_only": stick.is_read_only} for stick in found]))
        return
    for stick in found:
        typer.echo(f"{stick.path}{' (read-only)' if stick.is_read_only else ''}")
    if not found:
        _fail(f"no stick is mounted under {root}", CHECK_FAILED)


@courier_app.command("export")
def export_to_stick(
    stick: StickArgument,
    config: ConfigOption = _DEFAULT_CONFIG,
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Confirmed records that are still here as well: the fleet asks for its history."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put what the fleet has not confirmed onto a stick; the records stay here until its receipts come."""
    from device.courier.reporting import exported_lines

    with _courier(config) as (courier, report):
        done = courier.export_to(stick, on_progress=report, everything=everything)
    _show_courier({"exported": asdict(done)}, exported_lines(done), as_json=as_json)


@courier_app.command("import")
def import_from_stick(
    stick: StickArgument, config: ConfigOption = _DEFAULT_CONFIG, *, as_json: JsonOption = False
) -> None:
    """Take receipts, rosters and policy home from a stick."""
    from device.courier.reporting import imported_lines, problem_lines

    with _courier(config) as (courier, report):
        done = courier.import_from(stick, on_progress=report)
    _show_courier({"imported": asdict(done)}, imported_lines(done), as_json=as_json, problems=problem_lines(done))


@courier_app.command("sync")
def sync_with_stick(
    stick: StickArgument, config: ConfigOption = _DEFAULT_CONFIG, *, as_json: JsonOption = False
) -> None:
    """Import, then export: what to do whenever the stick comes by."""
    from device.courier.reporting import exported_lines, imported_lines, problem_lines

    with _courier(config) as (courier, report):
        imported, exported = courier.sync(stick, on_progress=report)
    _show_courier(
        {"imported": asdict(imported), "exported": asdict(exported)},
        [*imported_lines(imported), *exported_lines(exported)],
        as_json=as_json,
        problems=problem_lines(imported),
    )


@contextmanager
def _starting() -> Iterator[None]:
    """Import the parts of a service without looking for garbage: there is none yet, and all of it stays, so later searches leave it out."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _courier(config: Path) -> Iterator[tuple[NotedCourier, OnProgress]]:
    """Open the courier of a terminal; a mistaken path must not make empty stores."""
    from device.app.stick import noted_courier
    from device.courier.reporting import on_stderr
    from device.errors import DeviceError

    settings = _load(config)
    _quiet()
    if not settings.outbox_path.exists():
        _fail(f"outbox {settings.outbox_path}: there is none yet", CHECK_FAILED)
    try:
        with noted_courier(settings) as courier:
            yield courier, on_stderr()
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


def _show_courier(result: dict[str, Any], lines: Sequence[str], *, as_json: bool, problems: Sequence[str] = ()) -> None:
    typer.echo(json.dumps(result, indent=2) if as_json else "\n".join(lines))
    for problem in problems:
        typer.echo(f"lifecert-terminal: {problem}", err=True)
    if problems:
        raise typer.Exit(CHECK_FAILED)


@update_app.command("apply")
def update_apply(config: ConfigOption = _DEFAULT_CONFIG) -> None:
    """Carry out what the office wants, as far as it can be now: one step of it; systemd calls it each minute, as root."""
    from device.app.applying import apply
    from device.errors import DeviceError, SettingsInvalid

    try:
        done = apply(config)
    except SettingsInvalid as error:
        _fail(str(error), BAD_SETTINGS)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)
    except OSError as error:
        _fail(f"slots: {error.filename or ''}: {error.strerror}", CHECK_FAILED)
    typer.echo(
        " ".join([done.what, *([] if done.kind is None else [str(done.kind)]), *([done.why] if done.why else [])])
    )


@update_app.command("examine")
def update_examine(
    config: ConfigOption = _DEFAULT_CONFIG,
    *,
    networks: Annotated[
        Path | None, typer.Option("--networks", help="Folder of networks; default: the settings'.")
    ] = None,
    voices: Annotated[Path | None, typer.Option("--voices", help="Folder of voice packs to look at as well.")] = None,
) -> None:
    """See whether these programs with these networks certify a made-up living person, and not a print of them."""
    from device.app.applying import settings_of
    from device.app.examining import examine
    from device.errors import DeviceError, SettingsInvalid

    _quiet()
    try:
        settings = settings_of(config)
        if networks is not None:
            terminal = settings.terminal.model_copy(update={"models_dir": networks})
            settings = settings.model_copy(update={"terminal": terminal})
        typer.echo("\n".join(examine(settings, voices=voices)))
    except SettingsInvalid as error:
        _fail(str(error), BAD_SETTINGS)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@update_app.command("status")
def update_status(config: ConfigOption = _DEFAULT_CONFIG, *, as_json: JsonOption = False) -> None:
    """Print what runs, what is coming, and how the last updates ended."""
    from device.app.applying import status
    from device.errors import DeviceError, SettingsInvalid

    _quiet()
    try:
        found = status(config)
    except SettingsInvalid as error:
        _fail(str(error), BAD_SETTINGS)
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    typer.echo(f"the office's word: {found.desired_number or 'none yet'}")
    for each in found.running:
        what = f"{each.label} (number {each.number})" if each.bundle_id else "as it came with the terminal"
        typer.echo(f"{each.kind}: {what}{', on trial' if each.is_on_trial else ''}")
    for coming in found.coming:
        why = f", {coming.why}" if coming.why else ""
        typer.echo(f"{coming.kind}: {coming.bundle_id[:16]} {coming.state}{why}, {coming.received} bytes here")
    for ended in found.ended:
        typer.echo(f"{ended.kind}: {ended.bundle_id[:16]} {'stays' if ended.is_kept else 'went back'}, {ended.why}")


@voice_app.command("lines")
def voice_lines(
    language: Annotated[str, typer.Option("--language", help="Language tag of the pack, such as zh-yue.")] = "zh",
    *,
    as_json: JsonOption = False,
) -> None:
    """Print what a voice pack holds, a line each: id, then text. The script of a recording."""
    from device.lines import texts_to_speak

    texts = texts_to_speak(language)
    if as_json:
        typer.echo(json.dumps(texts, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(f"{line}\t{text}" for line, text in texts.items()))


@voice_app.command("render")
def voice_render(
    *,
    language: Annotated[str, typer.Option("--language", help="zh or en.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the pack; a pack in it is replaced.")],
) -> None:
    """Render a pack from the texts with espeak-ng, at normal and at slow speed."""
    from device.app.voice_making import languages_to_render, render
    from device.errors import SynthesiserUnavailable, VoicePackInvalid

    if language not in languages_to_render():
        _fail(f"language {language}: expected one of {', '.join(languages_to_render())}", USAGE)
    try:
        made = render(language, out)
    except (SynthesiserUnavailable, VoicePackInvalid) as error:
        _fail(str(error), CHECK_FAILED)
    typer.echo(f"{out}: {made.lines} lines, {made.files} files, {made.size_bytes / 1024:.0f} KiB")


@voice_app.command("import")
def voice_import(
    recordings: Annotated[Path, typer.Argument(help="Folder with LINE.wav, and slow/LINE.wav where spoken slowly.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the pack; a pack in it is replaced.")],
    name: Annotated[str, typer.Option("--name", help="Short name: small letters, digits, hyphens.")],
    language: Annotated[str, typer.Option("--language", help="Language tag, such as zh-yue.")],
    title_zh: Annotated[str, typer.Option("--title-zh", help="The pack's name in Chinese.")],
    title_en: Annotated[str, typer.Option("--title-en", help="The pack's name in English.")],
    licence: Annotated[str, typer.Option("--licence", help="Under which others may use the recordings.")],
    source: Annotated[str, typer.Option("--source", help="Who spoke, where and when; a name only with consent.")],
) -> None:
    """Make a pack of recordings: cut silence, make all equally loud, code as Ogg Opus, write the manifest."""
    from device.app.voice_making import About, import_recordings
    from device.errors import VoicePackInvalid

    if not recordings.is_dir():
        _fail(f"recordings {recordings}: no such folder", USAGE)
    try:
        made = import_recordings(recordings, out, About(name, language, title_zh, title_en, licence, source))
    except VoicePackInvalid as error:
        _fail(str(error), CHECK_FAILED)
    for problem in made.problems:
        typer.echo(f"lifecert-terminal: {problem}", err=True)
    typer.echo(f"{out}: {made.lines} lines, {made.files} files, {made.size_bytes / 1024:.0f} KiB")
    raise typer.Exit(CHECK_FAILED if made.problems else DONE)


@voice_app.command("check")
def voice_check(
    pack: Annotated[Path, typer.Argument(help="Folder of the pack.")],
    *,
    is_partial: Annotated[
        bool, typer.Option("--partial", help="The pack replaces some lines only; what it lacks is no failure.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that a pack has every line at the speeds its manifest names, undamaged, equally loud and of a sane length."""
    from dataclasses import asdict

    from device.app.voice_check import check_pack
    from device.errors import VoicePackInvalid

    try:
        report = check_pack(pack)
    except VoicePackInvalid as error:
        _fail(str(error), CHECK_FAILED)
    has_passed = report.passed(is_partial=is_partial)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "passed": has_passed}, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join([*report.problems, *([] if is_partial else report.lacking)]) or "nothing is wrong")
        if "slow" not in report.speeds:
            typer.echo("normal speed only: who asks for slow speech hears it at normal speed")
        typer.echo(f"{report.name} ({report.language}): {report.covered} of {report.lines} lines, {report.seconds} s")
    raise typer.Exit(DONE if has_passed else CHECK_FAILED)


@contextmanager
def _outbox(config: Path) -> Iterator[Outbox]:
    """Open the outbox of a terminal that has one; a mistaken path must not make an empty one."""
    from device.adapters.outbox_sqlite import SqliteOutbox
    from device.errors import DeviceError

    # By hand, without what systemd hands over: none of the keys is needed.
    settings = _load(config, credentials=config.resolve().parent)
    if not settings.outbox_path.exists():
        _fail(f"outbox {settings.outbox_path}: there is none yet", CHECK_FAILED)
    try:
        outbox = SqliteOutbox(
            settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes
        )
        try:
            yield outbox
        finally:
            outbox.close()
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


@contextmanager
def _pictures(config: Path) -> Iterator[AttachmentStore | None]:
    """Open the store of sealed pictures; None where there is none."""
    from device.app.pictures import opened_pictures
    from device.errors import DeviceError

    try:
        with opened_pictures(_load(config, credentials=config.resolve().parent)) as store:
            yield store
    except DeviceError as error:
        _fail(str(error), CHECK_FAILED)


def _describe(result: ClipResult) -> str:
    record = result.record
    lines = [f"outcome: {result.outcome}"]
    if result.certified_until is not None:
        lines.append(f"certified until: {result.certified_until}")
    lines += [f"reason: {reason}" for reason in result.reasons]
    if record.comparison is not None:
        found = record.comparison
        lines.append(
            f"comparison: {found.score:.3f} {found.zone} (match {found.match_threshold}, grey {found.grey_threshold}, "
            f"{found.samples} samples)"
        )
    for evidence in record.evidence:
        score = "" if evidence.score is None else f" {evidence.score:.3f} against {evidence.threshold}"
        lines.append(f"evidence {evidence.kind}: {evidence.status}, {evidence.reason}{score}")
    lines += [f"asked {asked.action}: {asked.result} after {asked.seconds:.1f} s" for asked in record.challenge]
    track = result.track
    lines.append(
        f"track: {track.frames} frames, face in {track.seen}, lost in {track.lost}, tracks {list(track.track_ids)}"
    )
    lines += [f"event {event.event}: frames {event.start_frame} to {event.end_frame}" for event in result.events]
    return "\n".join(lines)


def _moment() -> datetime:
    """Return the best guess of the time; nothing is read from or written to the terminal's own files for it."""
    from device.adapters.clock_system import moment_of_system
    from protocol.times import best_guess

    return best_guess(moment_of_system())


def _load(config: Path, *, or_else: str = "", credentials: Path | None = None) -> Settings:
    """Read the settings; where the default file is not there, say which options name another, or do without."""
    from device.errors import SettingsInvalid
    from device.settings import load_settings

    try:
        return load_settings(config, credentials=credentials)
    except SettingsInvalid as error:
        is_default_missing = config == _DEFAULT_CONFIG and not config.exists()
        _fail(f"{error}{f'; name another with --config{or_else}' if is_default_missing else ''}", BAD_SETTINGS)


def _slip_checker(config: Path, fleet: Path | None) -> tuple[FleetIdentity, Sequence[str], DeviceTime]:
    """Return whose slips are checked, in which languages, and now."""
    from device.adapters.clock_system import SystemClock, moment_of_system
    from device.adapters.signer_keyfile import load_fleet_identity
    from device.errors import DeviceError
    from protocol.errors import ProtocolError
    from protocol.registration import FleetIdentity

    try:
        if fleet is not None:
            identity = FleetIdentity.parse(fleet.read_bytes())
            identity.signing_key.key()
            return identity, ("zh", "en"), moment_of_system()
        settings = _load(config, or_else=", or --fleet FILE")
        identity = load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
        return identity, settings.terminal.languages, SystemClock(settings.clock_path).now()
    except OSError as error:
        _fail(f"fleet identity {fleet}: cannot be read: {error.strerror}", USAGE)
    except (DeviceError, ProtocolError) as error:
        _fail(str(error), USAGE)


def _scanned(text: str) -> str:
    """Return the text of an argument, or of the standard input for `-`."""
    from protocol.slip import MAX_CHARACTERS

    return sys.stdin.read(MAX_CHARACTERS + 1) if text == "-" else text


def _networks_of(config: Path | None) -> tuple[Path, str, Literal["auto", "ai-edge-litert", "tflite-runtime"]]:
    """Return folder, feature network and runtime: the settings', or those shipped beside this package."""
    if config is None:
        return Path(__file__).resolve().parent.parent / "models", "features_mobilefacenet", "auto"
    terminal = _load(config).terminal
    return terminal.models_dir, terminal.features, terminal.runtime


def _quiet() -> None:
    """Keep the log of one-off commands to warnings: their result is what counts."""
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        logging.getLogger().setLevel(logging.WARNING)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"lifecert-terminal: {message}", err=True)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    with suppress(BrokenPipeError):
        app()
