"""`lifecert-provision bundle`: parse, call, print."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from datetime import timedelta
from getpass import GetPassWarning
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from protocol.bundle import Bundle, BundleKind
from protocol.envelope import key_id_of
from provisioning.bundles.checking import files_of
from provisioning.bundles.keys import load_public, load_release_key, make_release_key
from provisioning.bundles.making import Wish, look_at, make_bundle, needs_in
from provisioning.errors import FileUnusable
from provisioning.saying import Json, errors, now

app = typer.Typer(help="Make, sign and look at bundles of updates.", no_args_is_help=True)
PUBLIC = Path("release-keys.json")
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="Read the key's passphrase from the first line of this file, in place of asking."
    ),
]


@app.command("key")
def key(
    out: Annotated[Path, typer.Option(help="File for the release key; keep it away from every server.")],
    public: Annotated[
        Path, typer.Option(help="File of the public keys of whoever may sign; this one is added.")
    ] = PUBLIC,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt the key: only where the medium itself is.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a release key. Whoever has it can put programs onto every terminal; the fleet's server must never have it."""
    with errors():
        ask = _passphrase(passphrase_file, confirmed=True)
        made = make_release_key(out, public, None if no_passphrase else ask)
    typer.echo(f"release key {made.key_id} is in {out}: lock it up, and a copy elsewhere")
    typer.echo(f"{public}: onto every terminal's card, and to the fleet ([provisioning] release_keys)")


@app.command("make")
def make(
    kind: Annotated[BundleKind, typer.Option(help="What is in it.")],
    source: Annotated[
        Path,
        typer.Option(
            "--from", help="Folder: a wheelhouse, networks with their manifests, or a folder of each voice pack."
        ),
    ],
    number: Annotated[int, typer.Option(min=1, help="Larger than that of the one before.")],
    floor: Annotated[int, typer.Option(min=1, help="Once it runs for good, none below this number is taken.")],
    label: Annotated[str, typer.Option(help="What people call it, such as 1.4.0.")],
    key_file: Annotated[Path, typer.Option("--key", help="The release key.")],
    out: Annotated[Path, typer.Option(help="File for the bundle.")],
    machine: Annotated[str, typer.Option(help="aarch64, x86_64, or any.")] = "any",
    python: Annotated[str | None, typer.Option(help="Python it is made for, such as 3.13; for programs.")] = None,
    needs: Annotated[
        list[str] | None, typer.Option(help="What must run before, such as app:12; several times.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="So long it is taken; what runs goes on running.")] = 365,
    program: Annotated[
        Path | None,
        typer.Option(help="The terminal program, which checks voices, if it is not installed beside this one."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Check a folder, and make a signed bundle of it."""
    with errors():
        needed = needs_in(needs or ())
        files = files_of(kind, source, machine=machine, python=python, program=program)
        wish = Wish(kind, number, floor, label, machine, python, needed, timedelta(days=days))
        signer = load_release_key(key_file, _passphrase(passphrase_file))
        made = make_bundle(out, source, files, wish, key=signer, now=now())
    if as_json:
        typer.echo(json.dumps(_told(made)))
        return
    typer.echo(f"{out}: {kind} {number} ({label}), {len(files)} files, {made.size} bytes")
    typer.echo(f"digest {made.bundle_id}")
    typer.echo(f"next: bring it to the fleet, lifecert-fleet updates add {out.name}")


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="The bundle.")],
    keys: Annotated[Path, typer.Option("--release-keys", help="Public keys of whoever may sign.")] = PUBLIC,
    as_json: Json = False,
) -> None:
    """Check all of a bundle, and say what is in it."""
    with errors():
        bundle = look_at(file, key_of=load_public(keys))
    told = _told(bundle)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for name, value in told.items():
        if name != "files":
            typer.echo(f"{name}: {value if value not in (None, []) else '-'}")
    files = Table.grid(padding=(0, 1))
    for at in range(3):
        files.add_column(justify="right" if at == 1 else "left", overflow="fold")
    for each in bundle.manifest.files:
        files.add_row(each.sha256[:16], str(each.size), escape(each.name))
    Console().print(files)


def _told(bundle: Bundle) -> dict[str, object]:
    found: dict[str, object] = bundle.manifest.model_dump(mode="json", exclude={"type", "version"})
    # Its key is among the release keys, or it would not have been read.
    return {"bundle_id": bundle.bundle_id, "size": bundle.size, "signed_by": key_id_of(bundle.token), **found}


def _passphrase(file: Path | None, *, confirmed: bool = False) -> Callable[[], bytes]:
    def ask() -> bytes:
        if file is None:
            with warnings.catch_warnings():
                # It would be shown while it is typed, or read from where nobody types.
                warnings.simplefilter("error", GetPassWarning)
                try:
                    given: str = typer.prompt(
                        "passphrase of the release key", hide_input=True, confirmation_prompt=confirmed
                    )
                except GetPassWarning as error:
                    raise FileUnusable(
                        "the passphrase cannot be asked for, there is no terminal: give its file with --passphrase-file"
                    ) from error
            return given.encode()
        try:
            return file.read_bytes().splitlines()[0]
        except OSError as error:
            raise FileUnusable(f"{file}: {error.strerror}") from error
        except IndexError as error:
            raise FileUnusable(f"{file}: empty; the passphrase stands in its first line") from error

    return ask
