"""One valid example of every message, for the protocol page and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from protocol.attestation import ATTESTATION_TYP, TerminalAttestation
from protocol.bundle import BUNDLE_TYP, BundleFile, BundleKind, BundleManifest, Needs
from protocol.capture import FeatureReport
from protocol.cases import CASE_TYP, CaseKind, CaseReason, CaseRecord, Photo, PhotoCheck, PhotoRole
from protocol.challenge import Action
from protocol.commands import (
    COMMAND_TYP,
    RESULT_TYP,
    WITHDRAWAL_TYP,
    CommandKind,
    CommandResult,
    CommandWithdrawal,
    TerminalCommand,
)
from protocol.commissioning import (
    COMMISSIONING_TYP,
    CommissioningCheck,
    CommissioningReport,
    CommissioningStep,
    NetworkTime,
    Part,
    Question,
)
from protocol.courier import (
    CHUNK_TYP,
    MANIFEST_TYP,
    ChunkName,
    CourierBundle,
    CourierChunk,
    CourierManifest,
    CourierMessage,
)
from protocol.decommissioning import PROOF_TYP, DecommissionProof, ErasedPart
from protocol.desired import (
    DESIRED_TYP,
    ComingBundle,
    DesiredBundle,
    DesiredState,
    EndedTrial,
    ReportedState,
    RunningBundle,
    SettingValues,
)
from protocol.documents import DocumentKind
from protocol.entitlements import CountedAct, Entitlement
from protocol.events import EVENT_TYP, EventKind, ProposedReference, TerminalEvent
from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.health import BoardVitals, ClockState, Health, Held, LinkTimes, Running, VoiceUse
from protocol.keys import PublicJwk
from protocol.outcomes import Outcome
from protocol.photo_files import PhotoFileCheck, PhotoReport
from protocol.policy import POLICY_TYP, PathName, default_policy
from protocol.presence import PRESENCE_TYP, OutboxCounts, PictureCounts, Presence
from protocol.provisioning import (
    CLAIM_PATH,
    JOIN_PATH,
    RENEWAL_TYP,
    ClaimQuestion,
    JoinAnswer,
    JoinRequest,
    ProvisioningClaim,
    Renewal,
)
from protocol.receipts import RECEIPT_TYP, Receipt, ReceiptItem, Verdict
from protocol.records import (
    RECORD_TYP,
    AskedAction,
    CertificationRecord,
    Claim,
    Comparison,
    Decision,
    NetworkUse,
    SealedReference,
)
from protocol.reference_card import CARD_KEYS_TYP, CardKey, CardKeys
from protocol.references import CaptureKind, LegalBasis, Reference
from protocol.registration import REGISTRATION_TYP, FleetIdentity, TerminalRegistration
from protocol.roster import ROSTER_REQUEST_TYP, ROSTER_TYP, RosterEntry, RosterPage, RosterRequest
from protocol.rule_packs import RULE_PACKS_TYP, RulePackSet
from protocol.rules.acts import ActKind
from protocol.selftest import Check, SelftestReport
from protocol.shipped_packs import shipped_text
from protocol.staff import STAFF_TYP, Operator, PinHash, PlaceName, Role, StaffList
from protocol.times import ClockSource, DeviceTime
from protocol.topics import Kind
from protocol.wire import WireMessage

_NOON = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
_DIGEST = "ab" * 32
_ID = "0123456789abcdef" * 2
_TOKEN = "A" * 43
_JWK = PublicJwk(
    # The public key of RFC 7515, appendix A.3.
    x="f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y="x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
)


_PEM = "-----BEGIN ...-----\n"
_CODE = "7K3M9QTW2XZC4HJP"


def _moment() -> DeviceTime:
    return DeviceTime(
        boot_id=_ID,
        monotonic_ns=81_000_000_000,
        wall_clock=_NOON,
        source=ClockSource.NETWORK,
        uncertainty_s=0.5,
        last_fleet_time=_NOON - timedelta(hours=3),
    )


def reference_proposed() -> TerminalEvent:
    """Return the event that brings a reference for a features network in the shadow."""
    reference = SealedReference(
        kind="refresh", reference_id="8" * 32, legal_basis=LegalBasis.CONSENT, sealed="eyJhbGciOiJFQ0RILUVTIn0...c"
    )
    proposal = ProposedReference(
        session_record="3" * 32,
        network=NetworkUse(name="features_mobilefacenet", sha256=_DIGEST, runtime="ai-edge-litert 2.3.0"),
        reference=reference,
    )
    return _event(51, EventKind.REFERENCE_PROPOSED, {}, proposal)


def update_ended() -> TerminalEvent:
    """Return the event that tells of a bundle that went back, and for which wish it was tried."""
    told = {"kind": "networks", "bundle": _DIGEST[:16], "number": "7", "kept": "no", "why": "crash_loop", "wish": "3"}
    return _event(52, EventKind.UPDATE_ENDED, told)


def _event(
    counter: int, kind: EventKind, detail: dict[str, str], proposal: ProposedReference | None = None
) -> TerminalEvent:
    return TerminalEvent(
        record_id=_ID,
        fleet_id="demo",
        terminal_id="hall-1",
        counter=counter,
        previous=_DIGEST,
        kind=kind,
        at=_moment(),
        detail=detail,
        proposal=proposal,
        software="0.1.0",
    )


def examples() -> Mapping[str, WireMessage]:
    """Return one valid example of every message, by its name in the signed header or where it is used."""
    moment = _moment()
    reference = Reference(
        reference_id=_ID,
        features="AAECAwQFBgc=",
        model_sha256=_DIGEST,
        runtime="ai-edge-litert 2.3.0",
        key_domain="domain-1",
        quality=71.0,
        capture=CaptureKind.LIVE,
        legal_basis=LegalBasis.STATUTE,
        captured_at=_NOON,
        valid_until=date(2031, 11, 2),
    )
    record = CertificationRecord(
        record_id=_ID,
        fleet_id="demo",
        terminal_id="hall-1",
        counter=48,
        previous=_DIGEST,
        session_id=_ID,
        nonce=_ID,
        claim=Claim(document=DocumentKind.RESIDENT_ID, token=_TOKEN, subject_id=_ID),
        decision=Decision(
            outcome=Outcome.CERTIFIED,
            reasons=(),
            policy_version="2026.11.1",
            path=PathName.STANDARD,
            certified_until=date(2027, 11, 2),
            rule_pack="SX-2018/1",
        ),
        comparison=Comparison(
            reference_id=_ID,
            capture=CaptureKind.LIVE,
            score=0.83,
            zone="match",
            match_threshold=0.6,
            grey_threshold=0.452,
            model_sha256=_DIGEST,
            samples=5,
        ),
        evidence=(
            EvidenceResult(kind=EvidenceKind.CHALLENGE, status=EvidenceStatus.PASSED, reason="all_performed"),
            EvidenceResult(
                kind=EvidenceKind.CONTINUITY,
                status=EvidenceStatus.PASSED,
                score=0.88,
                threshold=0.452,
                reason="same_person",
            ),
            EvidenceResult(kind=EvidenceKind.TEXTURE, status=EvidenceStatus.NOT_RUN, reason="not_installed"),
        ),
        challenge=(AskedAction(action=Action.TURN_LEFT, result="performed", seconds=2.4),),
        quality={"size": 82.0, "sharpness": 64.0},
        networks=(NetworkUse(name="face_detection", sha256=_DIGEST, runtime="ai-edge-litert 2.3.0"),),
        software="0.1.0",
        started=moment,
        decided=moment,
    )
    return {
        RECORD_TYP: record,
        CASE_TYP: _case(moment),
        EVENT_TYP: _event(50, EventKind.SIGN_IN_LOCKED, {"attempts": "5", "seconds": "300"}),
        ATTESTATION_TYP: TerminalAttestation(
            fleet_id="demo",
            terminal_id="hall-1",
            issued_at=_NOON,
            # Signed once with the private key that RFC 7515 prints beside the public one above.
            statement="AQN_zc4ncPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURVEWU_AEZGVtbwZoYWxsLTE",
            signature="RI-wqbiND9eV0Uz72a97oRWxZNLgcVd3uUXEEwHSdr9pWZTEaCE49dnI1Nkm3Su18LWRNY2NvnGAQ8r7SGPCCQ",
        ),
        CARD_KEYS_TYP: CardKeys(
            fleet_id="demo",
            terminal_id="hall-1",
            issued_at=_NOON,
            expires_at=_NOON + timedelta(days=180),
            signing_keys=(_JWK,),
            keys=(CardKey(key_id="0f3a9c51", secret=_TOKEN),),
            revoked=(_ID,),
        ),
        STAFF_TYP: StaffList(
            fleet_id="demo",
            terminal_id="hall-1",
            issued_at=_NOON,
            expires_at=_NOON + timedelta(days=30),
            operators=(
                Operator(
                    operator_id="w-204",
                    name="Example",
                    roles=(Role.WORKER, Role.ENROLLER),
                    pin=PinHash(salt=_ID, digest=_DIGEST),
                    code_sha256=_DIGEST,
                    valid_until=date(2027, 11, 2),
                ),
            ),
            places=(PlaceName(code="620102001", name="Example village"),),
        ),
        PRESENCE_TYP: Presence(
            fleet_id="demo",
            terminal_id="hall-1",
            state="online",
            boot_id=_ID,
            connection=1_793_592_000_000_000_000,
            said_at=_NOON,
            software="0.1.0",
            policy_version="2026.11.1",
            roster_version=31,
            outbox=OutboxCounts(pending=0, published=2, acknowledged=46, refused=0),
            pictures=PictureCounts(waiting=3, refused=0),
            health=Health(
                board=BoardVitals(
                    temperature_c=51.6,
                    battery_percent=87,
                    is_charging=True,
                    throttled=0x50000,
                    disk_free_bytes=11_274_289_152,
                    memory_total_bytes=1_017_118_720,
                    memory_available_bytes=512_401_408,
                ),
                uptime_s=93_600,
                clock=ClockState(source=ClockSource.NETWORK, uncertainty_s=0.04),
                link=LinkTimes(presence_s=60, keep_alive_s=30),
                oldest_unconfirmed_s=12,
                held=Held(rule_packs=_NOON, staff=_NOON, card_keys=_NOON, roster_ends=_NOON + timedelta(days=14)),
                running=Running(
                    software="0.1.0",
                    networks=(
                        NetworkUse(name="features_mobilefacenet", sha256=_DIGEST, runtime="ai-edge-litert 2.3.0"),
                    ),
                    voices=(VoiceUse(name="zh", sha256=_DIGEST),),
                    camera_rate_hz=14.8,
                    camera_rate_at=_NOON,
                ),
            ),
            reported=ReportedState(
                desired_number=12,
                running=(RunningBundle(kind=BundleKind.APP, bundle_id=_DIGEST, number=3, label="0.1.0"),),
                coming=(
                    ComingBundle(kind=BundleKind.NETWORKS, bundle_id=_DIGEST, received=1_200_000, state="fetching"),
                ),
                ended=(EndedTrial(kind=BundleKind.APP, bundle_id=_DIGEST, is_kept=True, why="proven"),),
                settings=SettingValues(voice_volume=0.8, voice_slow=False),
            ),
        ),
        COMMAND_TYP: TerminalCommand(
            fleet_id="demo",
            terminal_id="hall-1",
            command_id=_ID,
            number=7,
            kind=CommandKind.DIAGNOSE,
            issued_at=_NOON,
            expires_at=_NOON + timedelta(days=1),
        ),
        WITHDRAWAL_TYP: CommandWithdrawal(
            fleet_id="demo",
            terminal_id="hall-1",
            command_id=_ID,
            number=7,
            withdrawn_at=_NOON,
        ),
        RESULT_TYP: CommandResult(
            fleet_id="demo",
            terminal_id="hall-1",
            command_id=_ID,
            verdict="done",
            finished_at=_NOON,
            report=SelftestReport(
                software="0.1.0",
                python="3.13.5",
                machine="Linux aarch64",
                checks=(Check(name="disk", status="passed", detail="9000 MiB free", seconds=0.0),),
            ),
        ),
        DESIRED_TYP: DesiredState(
            fleet_id="demo",
            terminal_id="hall-1",
            number=12,
            issued_at=_NOON,
            door="https://fleet.example:8444",
            bundles=(
                DesiredBundle(
                    kind=BundleKind.NETWORKS, bundle_id=_DIGEST, number=7, label="2026.2", size=9_400_000, since=11
                ),
            ),
            settings=SettingValues(voice_volume=0.8, updates_from_hour=20, updates_until_hour=6),
        ),
        COMMISSIONING_TYP: CommissioningReport(
            fleet_id="demo",
            terminal_id="hall-1",
            report_id=_ID,
            begun_at=_NOON - timedelta(minutes=6),
            finished_at=_NOON,
            clock=ClockSource.NETWORK,
            software="0.1.0",
            machine="Linux aarch64",
            sensor="imx708",
            is_simulated=False,
            networks=(NetworkTime(name="eyelids", sha256=_DIGEST, difference=0.006, median_ms=3.1),),
            checks=(
                CommissioningCheck(
                    part=Part.SEAT,
                    status="failed",
                    is_required=True,
                    reason="raise_terminal",
                    facts={"distance": 64.0, "height": 8.2, "aside": 1.1, "move": 3.5},
                    seconds=2.1,
                ),
            ),
        ),
        ROSTER_REQUEST_TYP: RosterRequest(fleet_id="demo", terminal_id="hall-1", have=31, asked_at=_NOON),
        RECEIPT_TYP: Receipt(
            fleet_id="demo",
            terminal_id="hall-1",
            fleet_time=_NOON,
            items=(ReceiptItem(sha256=_DIGEST, verdict=Verdict.STORED),),
        ),
        ROSTER_TYP: RosterPage(
            fleet_id="demo",
            terminal_id="hall-1",
            issued_at=_NOON,
            expires_at=_NOON + timedelta(days=14),
            after=30,
            upto=32,
            complete=True,
            claim_key=_TOKEN,
            feature_keys={"domain-1": _TOKEN},
            entries=(
                RosterEntry(
                    roster_version=31,
                    subject_id=_ID,
                    claim_token=_TOKEN,
                    references=(reference,),
                    entitlements=(
                        Entitlement(
                            pack_id="SX-2018",
                            pack_version=1,
                            started=date(2015, 3, 1),
                            last=CountedAct(day=date(2026, 2, 11), kind=ActKind.LIVE),
                        ),
                    ),
                ),
                RosterEntry(roster_version=32, subject_id=_ID[::-1], claim_token=_TOKEN, removed=True),
            ),
        ),
        POLICY_TYP: default_policy(),
        RULE_PACKS_TYP: RulePackSet(issued_at=_NOON, packs=(shipped_text("LZ-2019"),)),
        REGISTRATION_TYP: TerminalRegistration(
            fleet_id="demo", terminal_id="hall-1", signing_key=_JWK, sealing_key=_JWK, made_at=_NOON
        ),
        CHUNK_TYP: CourierChunk(
            fleet_id="demo",
            terminal_id="hall-1",
            bundle=CourierBundle.RECORDS,
            made_at=_NOON,
            messages=(CourierMessage(kind=Kind.RECORD, envelope="eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"),),
        ),
        MANIFEST_TYP: CourierManifest(
            fleet_id="demo",
            terminal_id="hall-1",
            bundle=CourierBundle.RECORDS,
            made_at=_NOON,
            chunks=(str(ChunkName(33, "0123456789abcdef", "fedcba9876543210")),),
        ),
        BUNDLE_TYP: BundleManifest(
            kind=BundleKind.NETWORKS,
            label="2026.2",
            number=7,
            floor=5,
            needs=(Needs(kind=BundleKind.APP, number=12),),
            made_at=_NOON,
            expires_at=_NOON + timedelta(days=365),
            files=(BundleFile(name="features.tflite", size=1_340_000, sha256=_DIGEST),),
        ),
        "claim file of a new terminal": ProvisioningClaim(
            fleet_id="demo",
            url="https://fleet.example:8444",
            root=_PEM,
            code=_CODE,
            terminal_id="hall-1",
            expires_at=_NOON + timedelta(days=3),
        ),
        f"posted to {CLAIM_PATH}": ClaimQuestion(code=_CODE),
        f"posted to {JOIN_PATH}": JoinRequest(
            code=_CODE, request=_PEM, registration="eyJ...", board_serial="10000000abcdef01"
        ),
        f"answered by {JOIN_PATH}": JoinAnswer(
            verdict="joined",
            certificate=_PEM,
            fleet_identity=FleetIdentity(fleet_id="demo", signing_key=_JWK, sealing_key=_JWK).to_bytes().decode(),
            broker_host="broker.example",
            broker_port=8883,
        ),
        PROOF_TYP: DecommissionProof(
            fleet_id="demo",
            terminal_id="hall-1",
            begun_at=_NOON,
            finished_at=_NOON + timedelta(seconds=3),
            parts=(
                ErasedPart(name="sealing.pem", kind="key", bytes_overwritten=241, public_key=_JWK.key_id),
                ErasedPart(name="references.sqlite", kind="database", bytes_overwritten=73_728),
            ),
            subjects=412,
            references=398,
            searched_bytes=73_728,
            traces=0,
            content_sha256=_DIGEST,
            records_confirmed=5_120,
            records_exported=0,
            records_lost=0,
            pictures_exported=0,
            pictures_lost=0,
            last_counter=5_131,
        ),
        RENEWAL_TYP: Renewal(fleet_id="demo", terminal_id="hall-1", request=_PEM),
        "fleet identity file": FleetIdentity(fleet_id="demo", signing_key=_JWK, sealing_key=_JWK),
        "printed by `lifecert-terminal features - --json`": FeatureReport(
            features="AACAPwAAAAA=",
            model_name="features_mobilefacenet",
            model_sha256=_DIGEST,
            runtime="ai-edge-litert 2.3.0",
            quality={"size": 82.0, "sharpness": 64.0},
            overall_quality=71.0,
        ),
        "printed by `lifecert-terminal check-photos - --json`, one a line": PhotoReport(
            sha256=_DIGEST,
            width_px=480,
            height_px=672,
            checks=(PhotoFileCheck(name="white_ground", passed=False, found=0.42, asked=0.8),),
        ),
        "printed by `lifecert-terminal commission --lines`, one a line": CommissioningStep(question=Question.TARGET),
        "printed by `lifecert-terminal selftest --json`": SelftestReport(
            software="0.1.0",
            python="3.11.7",
            machine="x86_64",
            checks=(Check(name="camera", status="passed", detail="10 frames, 640x480", seconds=0.6),),
        ),
    }


def _case(moment: DeviceTime) -> CaseRecord:
    photos = tuple(
        Photo(
            role=role,
            attachment=_DIGEST,
            width_px=1280,
            height_px=960,
            image_bytes=183_204,
            checks=(PhotoCheck(name="resolution", passed=True, found=1280.0, asked=640.0),),
        )
        for role in (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER)
    )
    return CaseRecord(
        record_id=_ID,
        fleet_id="demo",
        terminal_id="hall-1",
        counter=49,
        previous=_DIGEST,
        kind=CaseKind.SPECIAL,
        claim=Claim(document=DocumentKind.RESIDENT_ID, token=_TOKEN, subject_id=_ID),
        operator="w-204",
        reason=CaseReason.BEDRIDDEN,
        photos=photos,
        newspaper_date=date(2026, 11, 1),
        newspaper_age_days=1,
        opened=moment,
        software="0.1.0",
    )
