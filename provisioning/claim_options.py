"""How the commands take a claim: a file, or what was typed from paper."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from protocol.errors import ProtocolError
from protocol.provisioning import ProvisioningClaim, typed
from provisioning.by_hand import by_hand, fetch_claim
from provisioning.errors import FileUnusable, WrongUse
from provisioning.joining import read_claim
from provisioning.saying import now

Code = Annotated[
    str | None,
    typer.Option(
        "--code",
        help="Code of a claim, as it stands on paper, instead of its file. Without it, but with --door and --root, it is asked for.",
    ),
]
Door = Annotated[str | None, typer.Option("--door", help="Address of the fleet's door, as it stands beside the code.")]
Root = Annotated[str | None, typer.Option("--root", help="Fingerprint of the fleet's root, likewise.")]


def the_claim(
    file: Path | None, code: str | None, door: str | None, root: str | None
) -> Callable[[], ProvisioningClaim]:
    """Return what gives the claim: a file that was read already, or the fleet, asked once it is there.

    Args:
        file: the claim's.
        code: as it was typed; None has it asked for.
        door: likewise.
        root: likewise.

    Raises:
        WrongUse: if it is neither, both, or was mistyped.
        FileUnusable: if the file cannot be read, or is no claim.
    """
    if code is door is root is None:
        if file is None:
            raise WrongUse(
                "a claim is needed: its file (get one with `lifecert-fleet pki claim`), or --code, --door and --root"
            )
        found = read_claim(file)
        return lambda: found
    if file is not None:
        raise WrongUse(f"{file.name}, and another one typed: one claim, please")
    if door is None or root is None:
        raise WrongUse("--code, --door and --root belong together; all three stand beside each other on the paper")
    try:
        given = by_hand(code or _asked(), door, root)
    except FileUnusable as error:
        # The option's name says already what was typed.
        raise WrongUse(str(error).replace("--code: code: ", "--code: ")) from error
    return cache(lambda: fetch_claim(given, now=now()))


def _asked() -> str:
    """Ask for a code until it is one: what stands on the command line other users of the computer can read."""

    def looked_at(text: str) -> str:
        try:
            typed(text)
        except ProtocolError as error:
            raise typer.BadParameter(str(error)) from error
        return text

    asked: str = typer.prompt("code", value_proc=looked_at, err=True)
    return asked
