"""`lifecert-provision card`, `labels` and `wheelhouse`: parse, call, print."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from provisioning.cards.batch import write_all
from provisioning.cards.common import common_files
from provisioning.cards.contents import Wanted
from provisioning.cards.devices import Device, device_of, held_alone, refuse_unfit
from provisioning.cards.fat import Boot, FolderBoot, open_boot
from provisioning.cards.images import copy_image, unpack, write_image
from provisioning.cards.labels import DPI, ClaimPage, Plate, claim_pages, font_for_labels, label_pages
from provisioning.cards.listing import Listed, read_list, read_password
from provisioning.cards.network import Wifi, Wired, wifi, wired
from provisioning.cards.packages import CAMERA, packages_in
from provisioning.cards.planning import keys_in, name_on_card, plan, public_part, same_fleet
from provisioning.cards.settings import tried_part
from provisioning.cards.wheelhouse import make_wheelhouse
from provisioning.cards.writing import Files, look_over, refuse_others, steps, what_is_on, write
from provisioning.claim_options import Code, Door, Root, the_claim
from provisioning.errors import DeviceRefused, FileUnusable, ListRefused, WrongUse
from provisioning.joining import read_claim
from provisioning.paper import as_pdf
from provisioning.saying import Json, errors, now

LABELS, CLAIMS = "labels.pdf", "claims.pdf"
_CLAIM_SUFFIX = ".claim"
_PACKED = (".xz", ".zip", ".gz", ".zst")

Timezone = Annotated[str, typer.Option(help="Time zone of the terminals.")]
WifiCountry = Annotated[str | None, typer.Option(help="Two letters: where the radio is used.")]
Font = Annotated[Path | None, typer.Option(help="Font with Chinese characters for the labels.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the tool."""
    app.command("card")(card)
    app.command("labels")(labels)
    app.command("wheelhouse")(wheelhouse)


_NEEDED = {
    "ring_light": "under the shipped policy such a terminal certifies nobody",
    "screen": "such a terminal shows no page",
}
"""What a terminal lacks by default, and what it is without."""
_BY_LINE = {
    "terminal": "column terminal_id",
    "host_name": "column host_name",
    "wifi_ssid": "column wifi_ssid",
    "wifi_password_file": "column wifi_password_file",
    "wifi_security": "column wifi_security",
    "wifi_hidden": "column wifi_hidden",
    "address": "column address",
    "gateway": "column gateway",
    "dns": "column dns",
    "claim": "the folder of --claims",
    "code": "the folder of --claims",
    "door": "the folder of --claims",
    "root": "the folder of --claims",
    "force_device": "",
}
"""What is each terminal's own, and by what a list says it; a disk is none of a list's."""
_OF_A_LIST = ("claims", "no_labels", "font")


def card(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(
            help="Image file of Raspberry Pi OS, card (/dev/sdb), or folder: its mounted boot partition, or a new one."
        ),
    ] = None,
    claim: Annotated[Path | None, typer.Option(help="The claim from the fleet.")] = None,
    code: Code = None,
    door: Door = None,
    root: Root = None,
    terminal: Annotated[str | None, typer.Option(help="The terminal's name, where the claim says none.")] = None,
    image: Annotated[
        Path | None, typer.Option(help="Write this image to the card first; in a batch, what each begins as.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Leave the image as it is and make this one; in a batch, the folder.")
    ] = None,
    host_name: Annotated[
        str | None, typer.Option("--hostname", help="Its name in the network; else the terminal's.")
    ] = None,
    timezone: Timezone = "Asia/Shanghai",
    wifi_ssid: Annotated[str | None, typer.Option(help="Name of the wireless network.")] = None,
    wifi_password_file: Annotated[Path | None, typer.Option(help="File with its password.")] = None,
    wifi_country: WifiCountry = None,
    wifi_security: Annotated[str, typer.Option(help="wpa2, wpa3 or open.")] = "wpa2",
    wifi_hidden: Annotated[bool, typer.Option("--wifi-hidden", help="The network does not tell its name.")] = False,
    address: Annotated[str | None, typer.Option(help="Fixed address at the cable, such as 192.0.2.10/24.")] = None,
    gateway: Annotated[str | None, typer.Option(help="The router, with --address.")] = None,
    dns: Annotated[
        list[str] | None, typer.Option(help="Name server, with --address; may be given several times.")
    ] = None,
    wheels: Annotated[Path | None, typer.Option("--wheelhouse", help="Folder that `wheelhouse` made.")] = None,
    packages: Annotated[
        Path | None, typer.Option(help="Folder of Debian packages to install, with all they need.")
    ] = None,
    ssh_key: Annotated[
        list[Path] | None, typer.Option(help="Public key of who looks after it; may be given several times.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Part of terminal.toml: what differs from the defaults.")
    ] = None,
    release_keys: Annotated[Path | None, typer.Option(help="Public keys of who may sign updates (JWK set).")] = None,
    hardware: Annotated[Path | None, typer.Option(help="Lines for config.txt instead of the shipped ones.")] = None,
    batch: Annotated[Path | None, typer.Option(help="List of terminals (CSV): a card for each.")] = None,
    claims: Annotated[
        Path | None, typer.Option(help="Folder of claims for --batch, as `lifecert-fleet pki claim --list` makes it.")
    ] = None,
    no_labels: Annotated[
        bool, typer.Option("--no-labels", help="With --batch: make no sheets of labels and claims.")
    ] = False,
    font: Font = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also over another terminal's set-up; with --batch, also what is finished.")
    ] = False,
    force_device: Annotated[
        str | None, typer.Option(help="Name of a disk that cannot be taken out, to write to it all the same.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a card is written to.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look everything over and say what would be done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a terminal's whole set-up onto the boot partition of an image, a card, or of thirty. Run it again after a cut."""
    began = time.monotonic()
    with errors():
        _refuse_mixed(context, target, batch)
        result: dict[str, Any]
        common = common_files(wheelhouse=wheels, packages=packages, release_keys=release_keys, hardware=hardware)
        part = tried_part(settings) if settings is not None else {}
        keys = keys_in(ssh_key or ())
        if target is None or batch is not None:
            if batch is None or claims is None or out is None:
                raise WrongUse("--batch also needs --claims, a folder, and --out, another one")
            lines = read_list(batch, timezone=timezone, wifi_country=wifi_country)
            wanted = _wanted_of(lines, batch, claims, keys, part)
            chosen = None if no_labels else font_for_labels(font)
            result = _batch(wanted, common, out, image, again=again, dry_run=dry_run, font=chosen)
        else:
            found = the_claim(claim, code, door, root)()
            source = claim.name if claim else f"the claim of {door}"
            name = name_on_card(found, source=source, terminal_id=terminal, now=now())
            net = _wifi(wifi_ssid, wifi_password_file, wifi_country, wifi_security, is_hidden=wifi_hidden)
            one = Wanted(found, name, host_name or name, timezone, net, _wired(address, gateway, dns), keys, part)
            files = plan(one, common)
            result = _single(
                target, one, files, image=image, out=out, force=force_device, again=again, yes=yes, dry_run=dry_run
            )
        if wheels is None:
            typer.echo("no --wheelhouse: the image must have the programs already", err=True)
        if packages is None:
            typer.echo("no --packages: the image must have the camera's library already (docs/image.md)", err=True)
        elif CAMERA not in {each.name for each in packages_in(packages)}:
            typer.echo(
                f"--packages: {CAMERA} is none of them: without the camera's library a terminal sees nothing (docs/image.md)",
                err=True,
            )
        if release_keys is None:
            typer.echo("no --release-keys: such a terminal takes no update until it is visited", err=True)
        for table, without in _NEEDED.items():
            if part.get(table, {}).get("kind", "none") == "none":
                typer.echo(f"--settings: no [{table}]: {without} (docs/technician.md)", err=True)
        if not keys:
            typer.echo("no --ssh-key: nobody can get into such a terminal, to commission it for instance", err=True)
    result["seconds"] = round(time.monotonic() - began, 2)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        _tell(result)


def _refuse_mixed(context: typer.Context, target: Path | None, batch: Path | None) -> None:
    """Refuse options that say something of one card for a list of them, and the other way round, instead of leaving them out unsaid."""
    if (target is None) == (batch is None):
        raise WrongUse("name either an image, a card or a folder, or a list with --batch")
    wrong = [
        option
        for option in context.command.params
        if option.name in (_OF_A_LIST if batch is None else _BY_LINE)
        and (source := context.get_parameter_source(option.name)) is not None
        and source.name != "DEFAULT"
    ]
    if not wrong:
        return
    names = ", ".join(option.opts[0] for option in wrong)
    if batch is None:
        raise WrongUse(f"{names}: with --batch only")
    instead = ", ".join(dict.fromkeys(said for option in wrong if (said := _BY_LINE[option.name or ""])))
    raise WrongUse(f"{names}: not with --batch{f'; there it is said by {instead}' if instead else ''}")


def labels(
    listed: Annotated[Path, typer.Option("--list", help="The list of terminals (CSV).")],
    claims: Annotated[Path, typer.Option(help="Folder of their claims.")],
    out: Annotated[Path, typer.Option(help="Folder for labels.pdf and claims.pdf.")],
    font: Font = None,
    as_json: Json = False,
) -> None:
    """Print the labels of a list again, and the technician's sheet of claims."""
    with errors():
        wanted = _wanted_of(read_list(listed, with_networks=False), listed, claims)
        made = _sheets(wanted, out, font_for_labels(font))
    if as_json:
        typer.echo(json.dumps(made))
    else:
        _tell(made)


def wheelhouse(
    out: Annotated[Path, typer.Argument(help="Folder to fill; what is in it from an earlier try is used.")],
    machine: Annotated[str, typer.Option(help="The terminal's, as `uname -m` says it.")] = "aarch64",
    python: Annotated[str, typer.Option(help="Version of the terminal's Python.")] = "3.13",
    requirements: Annotated[
        Path | None, typer.Option(help="What is needed, with hashes, instead of the shipped list.")
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="This project's wheel; else it is built from the checkout.")
    ] = None,
    find_links: Annotated[
        Path | None, typer.Option(help="Folder of wheels to take instead of asking a registry.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch all a terminal installs at its first start, by hash, and see that nothing is missing."""
    with errors():
        found = make_wheelhouse(
            out, machine=machine, python=python, requirements=requirements, wheel=wheel, find_links=find_links
        )
    result: dict[str, Any] = {
        "folder": str(out), "files": len(found), "bytes": sum(path.stat().st_size for path in found)
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{out}: {result['files']} files, {result['bytes'] / 1e6:.0f} MB, complete")


def _single(
    target: Path,
    wanted: Wanted,
    files: Files,
    *,
    image: Path | None,
    out: Path | None,
    force: str | None,
    again: bool,
    yes: bool,
    dry_run: bool,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "target": str(out or target),
        **public_part(wanted),
        "files": len(files),
        "written": not dry_run,
    }
    device = device_of(target)
    if device is None and target.is_relative_to("/dev"):
        raise DeviceRefused(f"{target}: no card; `lsblk` names those that are there")
    if device is not None:
        if out is not None:
            raise WrongUse("--out is for image files")
        _look_at_card(target, device, image, force=force, yes=yes or dry_run, needed=_size(files))
        result |= {"device": str(device), "held": what_is_on(target)}
    elif image is not None:
        raise WrongUse("--image is for cards; to leave an image file as it is, name a new one with --out")
    if device is None and not again:
        _refuse_others(out or target, files)
    if dry_run:
        before = [f"write {image} to {device}"] if device is not None and image else []
        return result | {"steps": [*(before if device is not None else _looked_over(target, out)), *steps(files)]}
    if device is not None:
        with held_alone(target):
            if image is not None:
                _onto_card(image, target)
            write(_boot(target), files, say=_say)
        return result
    _looked_over(target, out)
    if out is not None:
        with _copy(target, out) as copy:
            write(open_boot(copy), files, say=_say)
        return result
    if not target.exists():
        with _writes(target):
            target.mkdir(parents=True)
    write(_boot(target), files, say=_say)
    return result


def _refuse_others(place: Path, files: Files) -> None:
    if place.is_dir() or (place.is_file() and place.suffix not in _PACKED):
        refuse_others(FolderBoot(place) if place.is_dir() else open_boot(place), files, name=str(place))


def _look_at_card(
    target: Path, device: Device, image: Path | None, *, force: str | None, yes: bool, needed: int
) -> None:
    if image is not None:
        _refuse_packed(image)
        look_over(open_boot(image))
        needed = image.stat().st_size
    refuse_unfit(device, force=force, needed=needed)
    what = f"everything on {device} is overwritten" if image else f"the boot partition of {device} is written to"
    if not yes and not typer.confirm(f"{what}; it holds {what_is_on(target)}. Is it the card?", err=True):
        raise DeviceRefused(f"{device}: nothing was written")


def _onto_card(image: Path, target: Path) -> None:
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("image, and reading it back", total=1.0)
        write_image(image, target, progress=lambda at, of: bars.update(task, completed=at, total=of))


def _boot(place: Path) -> Boot:
    if place.is_dir():
        boot = FolderBoot(place)
        if boot.names() & {"config.txt", "cmdline.txt"}:
            look_over(boot)
        return boot
    found = open_boot(place)
    look_over(found)
    return found


def _looked_over(target: Path, out: Path | None) -> list[str]:
    """Return in words what is done to an image or folder before it is written to; what cannot be is told, and nothing is changed.

    Raises:
        WrongUse: if there is to be a new image of a folder.
        FileUnusable: if there is no image, or the new one's place is taken.
        WrongImage: if it is none that can be set up.
    """
    if out is None:
        _refuse_packed(target)
        if target.exists():
            _boot(target)
        elif target.suffix:
            raise FileUnusable(f"{target}: not there")
        return [] if target.exists() else [f"make the folder {target}"]
    if not target.exists():
        raise FileUnusable(f"{target}: not there")
    if target.is_dir():
        raise WrongUse("--out is for image files")
    if target.suffix != ".xz":
        look_over(open_boot(target))
        return [f"copy {target} to {out}"]
    if out.exists():
        raise FileUnusable(f"{out}: exists already; name another file, or move it away")
    return [f"unpack {target} into {out}, and look it over"]


@contextmanager
def _copy(image: Path, out: Path) -> Iterator[Path]:
    """Give the copy of an image that is to be; it gets its name when it was written to, and goes where it was not."""
    copy = out.with_name(f".{out.name}.new")
    try:
        if image.suffix == ".xz":
            copy.unlink(missing_ok=True)
            with Progress(console=Console(stderr=True)) as bars:
                task = bars.add_task("unpacking", total=1.0)
                unpack(image, copy, progress=lambda at, of: bars.update(task, completed=at, total=of))
            # A claim comes into it.
            copy.chmod(0o600)
        else:
            copy_image(image, copy)
        yield copy
        copy.rename(out)
    except OSError as error:
        raise FileUnusable(f"{error.filename or out}: {error.strerror}") from error
    finally:
        copy.unlink(missing_ok=True)


def _refuse_packed(image: Path) -> None:
    if image.suffix in _PACKED:
        raise FileUnusable(
            f"{image.name}: is packed; unpack it first (xz --decompress --keep {image.name}), or name the unpacked one with --out"
        )


def _wanted_of(
    read: tuple[list[Listed], list[str]],
    listed: Path,
    claims: Path,
    keys: tuple[str, ...] = (),
    part: Mapping[str, Any] = MappingProxyType({}),
) -> list[Wanted]:
    """Return the terminals of a list, with their claims; what is wrong with either is told together."""
    lines, problems = read
    wanted: list[Wanted] = []
    for each in lines:
        path = claims / f"{each.terminal_id}{_CLAIM_SUFFIX}"
        if not path.is_file():
            problems.append(f"{listed.name}: line {each.line}: {each.terminal_id}: no claim; {path} is not there")
            continue
        try:
            found = read_claim(path)
            name = name_on_card(found, source=path.name, terminal_id=each.terminal_id, now=now())
        except FileUnusable as error:
            problems.append(f"{listed.name}: line {each.line}: {error}")
            continue
        wanted.append(Wanted(found, name, each.host_name, each.timezone, each.wifi, each.wired, keys, part, each.place))
    problems += same_fleet({each.terminal_id: each.claim for each in wanted})
    if problems:
        raise ListRefused("\n".join(problems))
    return wanted


def _batch(
    wanted: list[Wanted],
    common: Files,
    out: Path,
    image: Path | None,
    *,
    again: bool,
    dry_run: bool,
    font: Path | None,
) -> dict[str, Any]:
    if image is not None:
        _refuse_packed(image)
        look_over(open_boot(image))
    if dry_run:
        for each in wanted:
            plan(each, common, digests={})
        return {"cards": [public_part(each) for each in wanted], "written": False}
    done = write_all(wanted, common, out, image=image, again=again, say=_say)
    sheets = _sheets(wanted, out, font) if font is not None else {}
    return {"cards": [asdict(each) for each in done], "written": True, **sheets}


def _sheets(wanted: list[Wanted], out: Path, font: Path) -> dict[str, Any]:
    plates = [Plate(each.claim.fleet_id, each.terminal_id, each.place) for each in wanted]
    pages = [ClaimPage(each.claim, each.terminal_id, each.timezone, each.place) for each in wanted]
    with _writes(out):
        out.mkdir(parents=True, exist_ok=True)
        _keep(out / LABELS, as_pdf(label_pages(plates, font), DPI, "Lifecert"), mode=0o644)
        _keep(out / CLAIMS, as_pdf(claim_pages(pages, font), DPI, "Lifecert"), mode=0o600)
    return {"labels": str(out / LABELS), "claims": str(out / CLAIMS)}


def _keep(path: Path, data: bytes, *, mode: int) -> None:
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    Path(scratch).chmod(mode)
    Path(scratch).rename(path)


@contextmanager
def _writes(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"{error.filename or out}: {error.strerror}") from error


def _wifi(
    ssid: str | None, password: Path | None, country: str | None, security: str, *, is_hidden: bool
) -> Wifi | None:
    if ssid is None:
        if password is not None:
            raise WrongUse("--wifi-password-file without --wifi-ssid")
        return None
    return wifi(
        ssid, read_password(password) if password else "", country or "", security=security, is_hidden=is_hidden
    )


def _wired(address: str | None, gateway: str | None, dns: list[str] | None) -> Wired | None:
    if address is None:
        if gateway or dns:
            raise WrongUse("--gateway and --dns without --address")
        return None
    return wired(address, gateway or "", tuple(dns or ()))


def _size(files: Files) -> int:
    return sum(len(source) if isinstance(source, bytes) else source.stat().st_size for source in files.values())


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _tell(result: dict[str, Any]) -> None:
    """Print what people read of a result."""
    for step in result.get("steps", ()):
        typer.echo(step)
    if "cards" in result:
        new = sum(1 for each in result["cards"] if each.get("is_new", True))
        before = len(result["cards"]) - new
        told = f"{new} cards" if result["written"] else f"{new} cards would be written"
        typer.echo(
            f"{told}, {before} finished before, {result['seconds']} s" if before else f"{told}, {result['seconds']} s"
        )
    elif "terminal_id" in result:
        state = "is ready" if result["written"] else "would be written"
        typer.echo(f"{result['target']} {state} for terminal {result['terminal_id']} of fleet {result['fleet_id']}")
        typer.echo(f"its claim is good until {result['claim_expires_at'][:16].replace('T', ' ')} UTC")
    if "labels" in result:
        typer.echo(f"{result['labels']}: to be printed, A4, without scaling")
        typer.echo(f"{result['claims']}: for the technician only; whoever has it can take a terminal's place")
