"""The person a task is about and the pictures taken for it, held while the task lasts; and the case made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from device.desk.commands import StoreCase
from device.desk.view import Problem
from device.errors import DeviceError
from device.ports import AttachmentStore, Clock, Entropy
from device.runner.chain import Chain, LinkNotStored
from device.runner.claims import Chosen, Claimed
from device.runner.making import MadeReference, ReferenceNotMade, seal_reference
from device.runner.orders import Picture
from device.runner.records import Head, Identity
from protocol.cases import CaseKind, CaseRecord, Photo, PhotoRole, Proxy
from protocol.envelope import seal
from protocol.errors import ProtocolError
from protocol.keys import PublicJwk
from protocol.records import Claim, SealedReference
from protocol.references import CaptureKind, LegalBasis
from protocol.visits import Place

logger = logging.getLogger(__name__)

_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody the terminal could look up, with what was presented."""

    claim: str | Chosen
    claimed: Claimed

    def __repr__(self) -> str:
        return "Held()"


class CaseNotKept(DeviceError):
    """A case that could not be stored; nothing of it is. What it is made of is held until it is forgotten."""

    def __init__(self, problem: Problem, why: str) -> None:
        super().__init__(why)
        self.problem = problem


class Casework:
    """Holds and stores. Used by the loop's thread.

    Args:
        chain: of the terminal.
        attachments: takes the sealed pictures.
        identity: of the terminal, with the key of the fleet that pictures are sealed to.
        clock: dates the case.
        entropy: for the id of a reference.
        today: the day where the terminal stands.
    """

    def __init__(
        self,
        *,
        chain: Chain,
        attachments: AttachmentStore,
        identity: Identity,
        clock: Clock,
        entropy: Entropy,
        today: Callable[[], date],
    ) -> None:
        self._chain = chain
        self._attachments = attachments
        self._identity = identity
        self._clock = clock
        self._entropy = entropy
        self._today = today
        self.person: Held | None = None
        self.proxy: Held | None = None
        self._taken: Picture | None = None
        self._kept: dict[PhotoRole, Picture] = {}

    @property
    def problem(self) -> Problem | None:
        """Why no case can be stored here, None where one can."""
        return Problem.FLEET_KEY_MISSING if self._identity.fleet_sealing_key is None else None

    def take(self, picture: Picture) -> None:
        """Hold the picture just taken until it is kept or another is taken."""
        self._drop_taken()
        self._taken = picture

    def keep(self, role: PhotoRole) -> None:
        """Keep the picture just taken for the case, in place of an earlier one of the same kind."""
        taken, self._taken = self._taken, None
        if taken is not None and taken.role is role:
            if role in self._kept:
                self._kept[role].erase()
            self._kept[role] = taken

    def forget(self) -> None:
        """Forget everybody and every picture."""
        self.person = self.proxy = None
        self._drop_taken()
        for picture in self._kept.values():
            picture.erase()
        self._kept.clear()

    def store(self, order: StoreCase, *, place: Place | None) -> int:
        """Store the case with its pictures sealed to the fleet, and return its counter.

        Args:
            order: what was answered.
            place: where it is taken in, as `Directory.place` makes it of the code in the order.

        Raises:
            CaseNotKept: if it cannot be stored: nothing of it is then.
        """
        person, reader = self.person, self._identity.fleet_sealing_key
        if person is None:
            raise CaseNotKept(Problem.PERSON_UNKNOWN, "case: nobody is held")
        if reader is None:
            raise CaseNotKept(
                Problem.FLEET_KEY_MISSING, "case: the fleet's identity names no sealing key; accept-fleet again"
            )
        pictures = tuple(self._kept.values())
        digests: tuple[str, ...] = ()
        try:
            sealed = [seal(picture.jpeg, reader=reader) for picture in pictures]
            digests = self._attachments.put(sealed)
            reference = self._reference(order, reader)
            appended = self._chain.append(
                lambda head: self._record(head, order, person.claimed, pictures, digests, reference, place)
            )
        except (LinkNotStored, DeviceError, ProtocolError) as error:
            self._take_back(digests)
            raise CaseNotKept(Problem.CASE_NOT_STORED, str(error)) from error
        logger.info("case stored counter=%d kind=%s", appended.stored.counter, order.kind)
        return appended.stored.counter

    def _record(
        self,
        head: Head,
        order: StoreCase,
        claimed: Claimed,
        pictures: tuple[Picture, ...],
        digests: tuple[str, ...],
        reference: SealedReference | None,
        place: Place | None,
    ) -> CaseRecord:
        newspaper = order.newspaper_date
        proxy = None
        if self.proxy is not None and order.relation is not None:
            proxy = Proxy(document=self.proxy.claimed.document, token=self.proxy.claimed.token, relation=order.relation)
        return CaseRecord(
            **head,
            kind=order.kind,
            claim=Claim(document=claimed.document, token=claimed.token, subject_id=claimed.subject_id),
            operator=order.operator,
            witness=order.witness,
            reason=order.reason,
            other_way=order.other_way,
            photos=tuple(
                Photo(
                    role=picture.role,
                    attachment=digest,
                    width_px=picture.width_px,
                    height_px=picture.height_px,
                    image_bytes=len(picture.jpeg),
                    checks=picture.checks,
                )
                for picture, digest in zip(pictures, digests, strict=True)
            ),
            newspaper_date=newspaper,
            newspaper_age_days=None if newspaper is None else (self._today() - newspaper).days,
            proxy=proxy,
            place=place,
            reference=reference,
            opened=self._clock.now(),
            software=self._identity.software,
            simulated=self._identity.is_simulated,
        )

    def _reference(self, order: StoreCase, reader: PublicJwk) -> SealedReference | None:
        picture = self._kept.get(PhotoRole.FACE)
        if order.kind is not CaseKind.PHOTO_ENROLMENT or picture is None or picture.reference is None:
            return None
        try:
            return seal_reference(
                MadeReference(picture.reference, picture.quality, samples=1),
                kind="photo",
                capture=CaptureKind.PHOTO,
                reader=reader,
                reference_id=self._entropy.token(_ID_BYTES).hex(),
                runtime=self._identity.features_runtime,
                legal_basis=order.legal_basis or LegalBasis.STATUTE,
                captured_at=self._clock.now().wall_clock,
            )
        except ReferenceNotMade as error:
            # The pictures are worth the case without it.
            logger.error("case goes without its reference why=%s", error)  # noqa: TRY400 - a trace repeats features
            return None

    def _take_back(self, digests: tuple[str, ...]) -> None:
        try:
            self._attachments.drop(digests)
        except DeviceError as error:
            # Sealed and named by no record they say nothing to anybody; the fleet deletes what no case names.
            logger.warning("pictures of a case that was not stored stay why=%s", error)

    def _drop_taken(self) -> None:
        if self._taken is not None:
            self._taken.erase()
        self._taken = None
