"""What each section of the evaluation report is about: its data, the command that gives its figures, what they can show and what not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """What a section says before its figures."""

    title: str
    data: str
    """The data set."""
    command: str
    """Gives the figures again."""
    can_show: str
    cannot_show: str


SECTIONS: Mapping[str, Section] = {
    "verification": Section(
        "Comparison",
        "LFW, deep-funneled: 3,811 crops with a black border added, view-2 pairs of folds 1 to 5, all pairs; a subset by East-Asian names",
        "lifecert-models evaluate verification EVAL/verification/pairs.csv --groups EVAL/verification/groups.csv --json",
        "The set shows how features, normalisation and calibration compare with one another on the same pairs, and how far one "
        "threshold for everybody is off for a group.",
        "It is easy, mostly Western, of public figures, and may be part of what the network was trained on; it has no old faces"
        " and no years between pictures of one person, so the rates themselves are optimistic.",
    ),
    "scenes": Section(
        "Sessions: attacks and living people, rendered",
        "rendered people, prints, cut-outs, screens, files and frozen sensors under simulated light and sensor",
        "lifecert-models evaluate scenes --json",
        "The scenes show that each kind of evidence points the right way, whether the whole session certifies a species on any "
        "path, and which evidence stops which species.",
        "They cannot say how often real prints, screens or skins are taken for one another: the renderer knows only what its "
        "author knew, and a few rendered faces stand for all people.",
    ),
    "pad": Section(
        "Real attack pictures",
        "crops of CelebA-Spoof, a sample of prints, cut-outs and telephone screens of five people, stills of Silent-Face-Anti-Spoofing",
        "lifecert-models evaluate pad EVAL/pad/index.csv --json",
        "The pictures show what the passive network makes of real prints and screens, source by source, at a threshold"
        " that was set on other data and checked on these.",
        "They are tight, rescaled crops of a few people without bezel, lamp or movement, so they say nothing about the other "
        "evidence, and the sources must not be pooled. The threshold saw them: .03 was set on simulated and rendered people, a "
        "higher one (.08) was tried, failed bona fide pictures of one of these sources, and .03 was taken again; bona fide figures at it "
        "are not held out.",
    ),
    "pictures": Section(
        "Real attack pictures before the terminal",
        "the attack pictures of the sets above, each hung as a still sheet before a wall, in a moving hand, under the simulated lamp",
        "lifecert-models evaluate pictures EVAL/pad/index.csv --json",
        "The sessions show whether a still of any of these pictures is certified on the standard path, where the reference is "
        "made of the picture itself.",
        "A still cannot do what is asked, so they say little about the passive evidence; how paper and screens answer the lamp is "
        "simulated here, not filmed.",
    ),
    "evidence": Section(
        "Evidence on rendered people",
        "rendered people and attacks, both groups: development people, on whom thresholds were set, and held-out ones (decision 9)",
        "lifecert-models evaluate evidence --json",
        "The distributions show how far the measures of each kind of evidence lie apart between living people and each attack "
        "species, and where the threshold is.",
        "They cannot show the spread of real skin, hair, glasses, rooms and lamps, which will be wider than that of a renderer.",
    ),
    "quality": Section(
        "Sample quality",
        "three frames of each of two rendered people, spoilt step by step",
        "lifecert-models evaluate quality demo/people/live_om.mp4 demo/people/live_of.mp4 --json",
        "The steps show that each component falls with what it is about, leaves the others alone, and what the comparison makes"
        " of the same picture: the source of the components' scales.",
        "They cannot show how often people reach the minima in a real room, nor what two things wrong at once do.",
    ),
    "minima": Section(
        "Quality minima on real faces",
        "the 3,811 LFW crops of the comparison",
        "lifecert-models evaluate minima EVAL/verification/pairs.csv --json",
        "The pictures show whether the shipped minima, set on rendered people, shut out real faces that can be compared well.",
        "Press photographs are lit and posed for the camera: in a dim room more will fall short, and size, distance and border are not "
        "judged, as the crops have none.",
    ),
    "detection": Section(
        "Face detection",
        "some 75 photographs with masked faces and several people",
        "lifecert-models evaluate detection EVAL/detection/boxes.csv --json",
        "The photographs show from which size on faces are found, masked ones included.",
        "Most faces in them are far smaller than any before a terminal, and labels are boxes drawn by others, so recall over "
        "all sizes says nothing about a terminal.",
    ),
    "landmarks": Section(
        "Landmarks",
        "the largest face of each of the photographs above",
        "lifecert-models evaluate landmarks EVAL/detection/boxes.csv --json",
        "A picture and its mirror image show how well the network agrees with itself.",
        "Agreement is not accuracy: there are no points set by hand.",
    ),
    "clips": Section(
        "Actions in clips",
        "four short clips of real people with labelled events",
        "lifecert-models evaluate clips EVAL/clips/labels.csv --json",
        "The clips show that turning, opening the mouth and closing the eyes are seen in real people.",
        "They are far too few for a rate, and nobody in them follows a terminal's prompts.",
    ),
}
"""In the order of the page."""
