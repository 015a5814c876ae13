"""Bundles are made of folders that were checked, by a key that no server has, and what is wrong is said in one line."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from protocol.envelope import sign, verify
from protocol.keys import PrivateKey
from provisioning.cli import app

ROOT = Path(__file__).parents[3]
PASSPHRASE = "seven grey herons"
NETWORKS = {
    "face_detection": "face_detection",
    "face_landmarks": "face_landmarks",
    "eyelids": "eyelids",
    "features_mobilefacenet": "features",
}


def run(*arguments: object, said: str = "") -> Result:
    return CliRunner().invoke(app, ["bundle", *map(str, arguments)], input=said)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A release key without a passphrase, beside its public half."""
    done = run("key", "--out", tmp_path / "release.pem", "--public", tmp_path / "release-keys.json", "--no-passphrase")
    assert done.exit_code == 0, done.output
    return tmp_path / "release.pem"


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    """Manifests as they are shipped, each with a small file in place of its network."""
    folder = tmp_path / "networks"
    folder.mkdir()
    for name in NETWORKS:
        body = f"network {name}".encode()
        (folder / f"{name}.tflite").write_bytes(body)
        lines = (ROOT / "models" / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        digest = f'sha256 = "{hashlib.sha256(body).hexdigest()}"'
        written = [digest if line.startswith("sha256 = ") else line for line in lines]
        (folder / f"{name}.toml").write_text("\n".join(written), encoding="utf-8")
    (folder / "eyelids.npz").write_bytes(b"golden")
    return folder


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """A wheelhouse with ours and two that it needs, of which one only where Python is new."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    add_wheel(
        folder,
        "lifecert-1.4.0-py3-none-any.whl",
        'Requires-Dist: alpha>=2; extra == "terminal"',
        'Requires-Dist: beta; extra == "terminal" and python_version >= "3.12"',
        'Requires-Dist: gamma; extra == "terminal" and python_version < "3.12"',
        'Requires-Dist: delta; extra == "fleet"',
    )
    add_wheel(folder, "alpha-2.1-cp313-cp313-manylinux_2_28_aarch64.whl")
    # More than the oldest Python has on which this tool runs.
    add_wheel(folder, "beta-1.0-py3-none-any.whl", "Requires-Python: >=3.13")
    add_wheel(folder, "pip-26.0-py3-none-any.whl")
    pin(folder)
    return folder


def add_wheel(folder: Path, name: str, *lines: str) -> None:
    project, version = name.split("-")[:2]
    info = f"{project}-{version}.dist-info"
    head = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}", "Provides-Extra: terminal", *lines]
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join(head) + "\n")
        wheel.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {name[:-4].split('-', 2)[2]}\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def pin(folder: Path) -> None:
    lines = [
        "{}=={} --hash=sha256:{}".format(*path.name.split("-")[:2], hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.glob("*.whl"))
    ]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make(key: Path, kind: str, folder: Path, *more: object, said: str = "") -> Result:
    out = key.parent / "x.bundle"
    given = ("--number", 7, "--floor", 5, "--label", "1.4.0", "--key", key, "--out", out)
    return run("make", "--kind", kind, "--from", folder, *given, *more, said=said)


FOR = ("--machine", "aarch64", "--python", "3.13")


def show(key: Path, *more: object) -> Result:
    return run("show", key.parent / "x.bundle", "--release-keys", key.parent / "release-keys.json", *more)


def test_programs_become_a_bundle_that_says_what_it_is(key: Path, wheelhouse: Path) -> None:
    done = make(key, "app", wheelhouse, *FOR, "--needs", "networks:3", "--days", 30, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(show(key, "--json").output)
    assert json.loads(done.stdout) == told
    assert (told["kind"], told["number"], told["floor"], told["machine"], told["python"]) == (
        "app",
        7,
        5,
        "aarch64",
        "3.13",
    )
    assert told["needs"] == [{"kind": "networks", "number": 3}]
    assert {each["name"] for each in told["files"]} == {each.name for each in wheelhouse.iterdir()}
    (released,) = json.loads((key.parent / "release-keys.json").read_bytes())["keys"]
    assert told["signed_by"] == released["kid"]
    people_read = show(key).output
    assert "alpha-2.1" in people_read
    assert max(map(len, people_read.splitlines())) <= 80
    assert not list(key.parent.glob(".*"))


def test_networks_become_a_bundle_with_their_golden_vectors(key: Path, networks: Path) -> None:
    assert make(key, "networks", networks).exit_code == 0
    told = json.loads(show(key, "--json").output)
    names = [each["name"] for each in told["files"]]
    assert sorted(names) == sorted(each.name for each in networks.iterdir())
    assert (told["machine"], told["python"]) == ("any", None)


def test_voices_are_heard_by_the_terminal_s_own_program(key: Path, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    shutil.copytree(ROOT / "device" / "voices" / "en", folder / "en")
    for each in sorted((folder / "en").rglob("*.opus"))[4:]:
        each.unlink()
    refused = make(key, "voices", folder)
    assert (refused.exit_code, refused.output.startswith("en: ")) == (1, True)
    shutil.rmtree(folder / "en")
    shutil.copytree(ROOT / "device" / "voices" / "en", folder / "en")
    assert make(key, "voices", folder).exit_code == 0
    assert "en/pack.toml" in show(key).output


def test_a_key_with_a_passphrase_signs_only_with_it(tmp_path: Path, networks: Path) -> None:
    path, public = tmp_path / "release.pem", tmp_path / "release-keys.json"
    done = run("key", "--out", path, "--public", public, said=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert done.exit_code == 0, done.output
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    wrong = make(path, "networks", networks, said="another one here\n")
    assert (wrong.exit_code, "another passphrase" in wrong.output) == (1, True)
    (tmp_path / "words").write_text(PASSPHRASE + "\n")
    assert make(path, "networks", networks, "--passphrase-file", tmp_path / "words").exit_code == 0
    # A second key joins the first; a bundle of either is taken.
    assert run("key", "--out", tmp_path / "second.pem", "--public", public, "--no-passphrase").exit_code == 0
    assert len(json.loads(public.read_bytes())["keys"]) == 2
    assert show(path).exit_code == 0
    short = run("key", "--out", tmp_path / "third.pem", "--public", public, said="short\nshort\n")
    assert (short.exit_code, "12 characters" in short.output) == (1, True)
    assert not (tmp_path / "third.pem").exists()


def test_without_a_terminal_the_way_to_give_a_passphrase_is_told(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("lifecert-provision")
    done = subprocess.run(
        [program, "bundle", "key", "--out", tmp_path / "release.pem", "--public", tmp_path / "keys.json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "the passphrase cannot be asked for, there is no terminal: give its file with --passphrase-file"
    ]
    assert not (tmp_path / "release.pem").exists()


class Token(ec.EllipticCurvePrivateKey):
    """A key whose secret cannot be had, as on a hardware token."""

    def __init__(self) -> None:
        self._inside = ec.generate_private_key(ec.SECP256R1())

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        return self._inside.sign(data, signature_algorithm)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._inside.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._inside.curve

    @property
    def key_size(self) -> int:
        return 256

    def exchange(self, algorithm: object, peer_public_key: object) -> bytes:
        raise AssertionError("asked for a secret")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        raise AssertionError("asked for the secret")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> bytes:  # noqa: A002 - its name there
        raise AssertionError("asked for the secret")

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: object) -> Token:
        return self


def test_a_key_on_a_token_signs_without_giving_itself_away() -> None:
    key = PrivateKey.of(Token())
    token = sign(b'{"a":1}', key=key, typ="test")
    assert verify(token, key_of=lambda _: key.public(), typ="test").payload == b'{"a":1}'
    assert key.public().key_id == key.key_id


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "requirements.txt").unlink(), "no requirements.txt"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "notes.txt is no wheel"),
        (lambda folder: next(folder.glob("lifecert-*")).unlink(), "no wheel of lifecert"),
        (lambda folder: next(folder.glob("pip-*")).unlink(), "no wheel of pip"),
        (lambda folder: next(folder.glob("beta-*")).unlink(), "beta"),
        (lambda folder: next(folder.glob("alpha-*")).write_bytes(b"x"), "hash"),
        (lambda folder: (folder / "link.whl").symlink_to(folder / "requirements.txt"), "a link"),
    ],
)
def test_a_wheelhouse_that_is_not_whole_is_no_bundle(key: Path, wheelhouse: Path, change: object, says: str) -> None:
    change(wheelhouse)  # type: ignore[operator]
    done = make(key, "app", wheelhouse, *FOR)
    assert done.exit_code == 1
    assert says in done.output.lower()
    assert len(done.output.strip().splitlines()) == 1
    assert not (key.parent / "x.bundle").exists()


def test_what_a_wheel_needs_is_asked_for_the_terminal_s_python_and_not_for_this_one(
    key: Path, wheelhouse: Path
) -> None:
    for path in (*wheelhouse.glob("beta-*"), *wheelhouse.glob("alpha-*")):
        path.unlink()
    add_wheel(wheelhouse, "alpha-2.1-py3-none-any.whl")
    pin(wheelhouse)
    assert "lifecert needs beta" in make(key, "app", wheelhouse, *FOR).output
    old = make(key, "app", wheelhouse, "--machine", "aarch64", "--python", "3.11")
    assert "lifecert needs gamma" in old.output
    # Too old a one counts as none; another board's does not fit.
    for path in wheelhouse.glob("alpha-*"):
        path.unlink()
    add_wheel(wheelhouse, "alpha-1.0-py3-none-any.whl")
    add_wheel(wheelhouse, "beta-1.0-py3-none-any.whl")
    pin(wheelhouse)
    assert "lifecert needs alpha>=2" in make(key, "app", wheelhouse, *FOR).output
    (wheelhouse / "alpha-1.0-py3-none-any.whl").unlink()
    add_wheel(wheelhouse, "alpha-2.1-cp313-cp313-manylinux_2_28_x86_64.whl")
    pin(wheelhouse)
    assert "alpha" in make(key, "app", wheelhouse, *FOR).output
    (wheelhouse / "alpha-2.1-cp313-cp313-manylinux_2_28_x86_64.whl").unlink()
    add_wheel(wheelhouse, "alpha-2.1-py3-none-any.whl", "Requires-Python: >=3.14")
    pin(wheelhouse)
    assert "different python" in make(key, "app", wheelhouse, *FOR).output.lower()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "eyelids.tflite").write_bytes(b"x"), "SHA-256"),
        (lambda folder: (folder / "eyelids.tflite").unlink(), "cannot be read"),
        (lambda folder: (folder / "eyelids.toml").write_text("name = 1"), "manifest eyelids.toml"),
        (lambda folder: [each.unlink() for each in folder.glob("eyelids.*")], "0 networks for eyelids"),
        (lambda folder: (folder / "stray.npz").write_bytes(b"x"), "no manifest names it"),
        (lambda folder: shutil.copy(folder / "eyelids.toml", folder / "more.toml"), "2 networks for eyelids"),
    ],
)
def test_networks_that_do_not_fit_their_manifests_are_no_bundle(
    key: Path, networks: Path, change: object, says: str
) -> None:
    change(networks)  # type: ignore[operator]
    done = make(key, "networks", networks)
    assert (done.exit_code, says in done.output) == (1, True)
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--needs", "app"), "KIND:NUMBER"),
        (("--needs", "app:3", "--needs", "app:4"), "one kind twice"),
        (("--floor", "8"), "above the bundle's own number"),
        (("--label", "a b"), "label"),
        (("--machine", "armv6"), "machine"),
        (("--key", "nowhere.pem"), "No such file"),
    ],
)
def test_what_cannot_be_said_is_one_line(key: Path, networks: Path, more: tuple[str, ...], says: str) -> None:
    done = make(key, "networks", networks, *more)
    assert (done.exit_code, says in done.output) == (1, True)
    assert len(done.output.strip().splitlines()) == 1
    assert not (key.parent / "x.bundle").exists()


def test_nothing_is_written_over_and_what_was_altered_shows(key: Path, networks: Path) -> None:
    assert make(key, "networks", networks).exit_code == 0
    again = make(key, "networks", networks)
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    assert run("key", "--out", key, "--no-passphrase").exit_code == 1
    # It is told before a passphrase is asked for.
    there = run("key", "--out", key)
    assert (there.exit_code, "exists already" in there.output, "passphrase" in there.output) == (1, True, False)
    path = key.parent / "x.bundle"
    whole = path.read_bytes()
    for wrong in (whole[:-1], whole + b"x", whole[:-1] + b"?", b"x" + whole, whole.replace(b".", b"_", 1)):
        path.write_bytes(wrong)
        assert show(key).exit_code == 1
    path.write_bytes(whole)
    other = key.parent / "others.json"
    assert run("key", "--out", key.parent / "other.pem", "--public", other, "--no-passphrase").exit_code == 0
    assert run("show", path, "--release-keys", other).exit_code == 1
    assert "cannot be read" not in run("show", path, "--release-keys", key.parent / "none.json").output
