"""The picture of a sound against its pictures shows both where they are."""

import itertools
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from cafa.service.timeline import HEIGHT, PICTURES, WIDTH, peaks, strip, timeline_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_peaks_are_the_lowest_and_highest_samples_of_each_part() -> None:
    sound = np.zeros((2, 1000), np.float32)
    sound[0, 250], sound[1, 999] = 0.5, -0.75
    found = peaks(sound, 10)
    assert found.shape == (10, 2)
    assert [tuple(part) for part in found if part.any()] == [(0, 0.5), (-0.75, 0)]
    assert found[2, 1] == 0.5
    assert found[9, 0] == -0.75
    assert peaks(np.ones(3, np.float32), 10).max() == 1  # shorter than the columns


def test_the_strip_has_as_many_pictures_as_asked_in_their_order(video: Path) -> None:
    pictures = strip(video, 1.0)
    assert len(pictures) == PICTURES
    decoded = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in pictures]
    assert all(min(image.shape[:2]) > 50 for image in decoded)
    assert all(not np.array_equal(first, second) for first, second in itertools.pairwise(decoded))
    assert len(strip(video, 30.0)) == PICTURES  # the last picture stays


def test_an_onset_stands_at_its_time(video: Path) -> None:
    sound = np.zeros(16000, np.float32)
    sound[4000:4100] = 0.9  # at a quarter
    text = timeline_svg(sound, 1.0, strip(video, 1.0), 'a "dog" & <b>')
    svg = ElementTree.fromstring(text)
    assert svg.attrib["aria-label"] == 'a "dog" & <b>'
    assert len(svg.findall(f"{SVG}image")) == PICTURES
    wave = svg.find(f"{SVG}polygon")
    assert wave is not None
    points = [tuple(map(float, point.split(","))) for point in wave.attrib["points"].split()]
    across, up = min(points, key=lambda point: point[1])
    assert abs(across / WIDTH - 0.25) < 0.01
    assert 0 < up < HEIGHT
    assert [one.text for one in svg.findall(f"{SVG}text")] == ["0 s", "0.5 s"]
