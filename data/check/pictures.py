"""What can be wrong with image files: each is opened, in all cores."""
from __future__ import annotations

import hashlib
import multiprocessing
from typing import NamedTuple

from common import UserError

import tqdm

from data.decode import turn
from data.images import fit_annotated, read_stored
from data.workers import num_cores, prepare_worker

AT_ONCE = 16    # images that a process is given


class Opened(NamedTuple):
    """
    What is known of an image file.

    Attributes:
        kind: of a problem, or None
        text: of that problem, or None
        digest: tells the pixels apart, as a person sees them; None where it cannot be read
    """

    kind: str | None = None
    text: str | None = None
    digest: bytes | None = None


def open_image(path, size):
    """
    Args:
        path (str)
        size: (height, width) as annotated

    Returns:
        Opened
    """
    try:
        stored, orientation = read_stored(path)
    except UserError as e:
        return Opened("image-unreadable", _reason(e, path))
    seen = turn(stored, orientation)
    digest = hashlib.blake2b(seen.tobytes(), digest_size=16, key=str(seen.shape).encode()).digest()
    try:
        fit_annotated(path, stored, orientation, size)
    except UserError as e:
        return Opened("image-other-size", _reason(e, path), digest)
    if orientation != 1:
        use = "as it is seen" if seen.shape[:2] == tuple(size) else "as it is stored, which has the annotated size"
        return Opened("image-turned", f"its EXIF note turns or mirrors it, and it is used {use}", digest)
    return Opened(digest=digest)


def _reason(error, path):
    """Returns: str, a UserError's message without the path that it begins with"""
    return str(error).removeprefix(f"{path}: ")


def check_images(splits):
    """
    Open all images of the splits, with a bar.

    Args:
        splits (list[Split])

    Returns:
        list[Problem]
    """
    places = [(split, number) for split in splits for number in range(len(split.records))]
    jobs = [(split.records.file_name(number), tuple(split.records.sizes[number].tolist())) for split, number in places]
    problems, first = [], {}
    for (split, number), opened in zip(places, _open_all(jobs)):
        if opened.kind:
            problems.append(split.image_problem(opened.kind, number, opened.text))
        if opened.digest:
            other = first.setdefault(opened.digest, (split, number))
            problems += _same_pixels(split, number, *other)
    return problems


def _same_pixels(split, number, other, same):
    """Returns: list of the Problem that an image of `split` has the pixels of one of `other` before it, if it is one"""
    path = other.records.file_name(same)
    if path == split.records.file_name(number):    # said without opening it
        return []
    kind = "image-twice" if other.is_train == split.is_train else "image-in-two-sets"
    return [split.image_problem(kind, number, f"image {other.records.image_ids[same]}, {path}, has the same pixels")]


def _open_all(jobs):
    """Yields: Opened of each job, in their order"""
    num_processes = min(num_cores(), len(jobs) // AT_ONCE + 1)
    with tqdm.tqdm(total=len(jobs), unit="image", desc="images", smoothing=0, disable=None) as bar:
        if num_processes == 1:
            for job in jobs:
                yield open_image(*job)
                bar.update()
            return
        with multiprocessing.get_context("fork").Pool(num_processes, prepare_worker) as pool:
            for opened in pool.imap(_open_job, jobs, chunksize=AT_ONCE):
                yield opened
                bar.update()


def _open_job(job):
    return open_image(*job)
