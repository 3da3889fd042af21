"""Prediction on files: which files a command line stands for, and the picture and the results of each on disk."""
import collections
import contextlib
import glob
import os
import time

from common import UserError, warn, whole_file

import cv2

import data
from data.images import IMAGE_SUFFIXES
from inference import video
from inference.camera import is_camera
from inference.detections import detections_to_coco
from inference.results import ResultsFile, remove_partial, write_json
from inference.stream import detect_stream, progress_bar
from inference.tracking import make_tracker


# inputs and their outputs -------------------------------------------------------------------------------------------
def expand_inputs(inputs):
    """
    Find the images and videos that files, folders and patterns stand for.

    Args:
        inputs (list[str]): files, folders (what is right in them), patterns such as "shots/*.png", or cameras such as
            "camera:0"

    Returns:
        list[str]: paths of files, each once; and list[str]: one line for each input that stands for none
    """
    suffixes = IMAGE_SUFFIXES + video.SUFFIXES
    paths, problems = [], []
    for name in inputs:
        if os.path.isdir(name):
            files = [os.path.join(name, entry) for entry in sorted(os.listdir(name))
                     if entry.lower().endswith(suffixes)]
            problem = f"{name} has no images or videos in it ({', '.join(suffixes)}); name a folder that has"
        elif os.path.isfile(name) or is_camera(name):
            files = [name]
        else:
            files = [path for path in sorted(glob.glob(name, recursive=True)) if os.path.isfile(path)]
            problem = f"{name} is not there; check the path"
        if files:
            paths += files
        else:
            problems.append(problem)
    return list(dict.fromkeys(paths)), problems


def name_outputs(paths):
    """
    Returns: dict of each path to the stem of its output files: its own, with a number where that is taken already
    """
    stems, taken = {}, set()
    for path in paths:
        stem, number = _own_stem(path), 1
        while stem in taken:
            number += 1
            stem = f"{_own_stem(path)}_{number}"
        stems[path] = stem
        taken.add(stem)
    return stems


def _own_stem(path):
    return path.replace(":", "_") if is_camera(path) else os.path.splitext(os.path.basename(path))[0]


def prepare_output(folder, stems):
    """
    Make the output folder, and see that nothing in it is overwritten that is an input.

    Args:
        folder (str)
        stems (dict): of `name_outputs`

    Raises:
        UserError: an input would be overwritten, or the folder cannot be written into
    """
    make_folder(folder)
    pictures = {path: stem + (".mp4" if video.is_video(path) else ".png") for path, stem in stems.items()}
    refuse_overwriting("--output", folder, pictures)
    for path, stem in stems.items():
        picture = pictures[path]
        if stem != _own_stem(path):
            warn(f"{path}: another input has this name, so it is written as {picture} and {stem}.json")


def refuse_overwriting(option, folder, pictures):
    """
    Args:
        option (str): of the command line, which the folder was given to
        folder (str)
        pictures (dict): of the path of each input to the name of its picture

    Raises:
        UserError: a picture in the folder would take the place of an input
    """
    inputs = {os.path.realpath(path) for path in pictures}
    for picture in pictures.values():
        if os.path.realpath(os.path.join(folder, picture)) in inputs:
            raise UserError(f"{option} {folder}: {picture} there is one of the inputs to predict on and would be "
                            "overwritten; choose another folder")


def make_folder(folder):
    """Raises: UserError: the folder is not there and cannot be made, or cannot be written into"""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise UserError(f"cannot make the folder {folder} ({e.strerror}); choose another place") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write into the folder {folder}; choose another place, or change its permissions")


# prediction ---------------------------------------------------------------------------------------------------------
class FilePredictor:
    """
    Predicts on image and video files, one after the other.

    Args:
        detector (inference.detector.Detector)
        output (str): folder for NAME.png or NAME.mp4, and NAME.json, of each input; None writes nothing
        draw (callable): from an image uint8 (h, w, 3) and its Detections to a picture, which is of the image's size
            with `min_edge=0`

    Attributes:
        num_failed (int): inputs that cannot be used; each was named on a line of stderr, and the others are done
    """

    def __init__(self, detector, output, draw):
        self.detector, self.output, self.draw = detector, output, draw
        self.num_failed = 0
        self._counts, self._start = collections.Counter(), time.monotonic()

    def summary(self):
        """Returns: str, a line on what was done"""
        done = " and ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in self._counts.items() if n) or "no image"
        rate = sum(self._counts.values()) / (time.monotonic() - self._start)
        return f"predicted on {done}, {rate:.2f} a second" + (f", see {self.output}" if self.output else "")

    def run(self, stems):
        """
        Args:
            stems (dict): of `name_outputs`

        Yields:
            the picture of each image, then of each frame of the videos, and bool, whether it is a frame; a consumer
            that stops early leaves no half of a file behind
        """
        yield from self._images({path: stem for path, stem in stems.items() if not video.is_video(path)})
        for path in filter(video.is_video, stems):
            try:
                yield from self._video(path, stems[path])
            except UserError as e:
                self._fail(e)

    def _images(self, stems):
        def load(path):
            with any_failure_of(path):
                return data.load_image(path)

        def finish(path, image, detections):
            with any_failure_of(path):
                return self._finish_image(stems[path], image, detections)

        if not stems:
            return
        with progress_bar(len(stems), "predict") as bar:
            for _, picture in self._stream(stems, load, finish):
                bar.update()
                if isinstance(picture, UserError):
                    self._fail(picture)
                else:
                    self._counts["image"] += 1
                    yield picture, False

    def _finish_image(self, stem, image, detections):
        """Returns: the picture of an image, which is written when this returns"""
        if self.output is not None:
            write_json(self._path(stem, ".json"), self._to_coco(stem, detections))
        picture = self.draw(image, detections)
        if self.output is not None:
            write_picture(self._path(stem, ".png"), picture)
        return picture

    def _video(self, path, stem):
        """
        Yields: as `run`; of a camera, a consumer that stops early leaves whole files of what was seen until then

        Raises:
            UserError: the video cannot be used
        """
        def finish(numbered, image, detections):
            with any_failure_of(path):
                return self.draw(image, detections, min_edge=0), self._to_coco(numbered[0], detections)

        source = video.open_video(path)
        with contextlib.ExitStack() as stack:
            if self.output is not None:
                writer = stack.enter_context(video.VideoWriter(self._path(stem, ".mp4"), source.rate))
                stack.callback(remove_partial, self._path(stem, ".json"))
                results = stack.enter_context(contextlib.closing(ResultsFile(self._path(stem, ".json"))))
            bar = stack.enter_context(progress_bar(source.num_frames or None, os.path.basename(path)))
            for (number, _), finished in self._frames(source, finish):
                if isinstance(finished, UserError):
                    raise finished
                picture, coco_results = finished
                bar.update()
                self._counts["frame"] += 1
                if self.output is not None:
                    with any_failure_of(path):
                        writer.write(picture, number)
                    results.add(number, coco_results)
                try:
                    yield picture, True
                except GeneratorExit:
                    if not source.is_live:
                        raise
                    break
            if self.output is not None:
                results.finish()

    def _frames(self, source, finish):
        """Yields: of each frame its number and pixels, and what `finish` makes of them"""
        cfg = self.detector.cfg
        follow = make_tracker(cfg).update if cfg.TEST.TRACK else None
        if not source.is_live:
            yield from self._stream(source.frames(), lambda numbered: numbered[1], finish, follow)
            return
        # nothing ahead of the network, so that it sees what is there now
        for numbered in source.frames():
            found = self.detector(numbered[1])
            yield numbered, finish(numbered, numbered[1], follow(found) if follow else found)

    def _stream(self, items, load, finish, follow=None):
        return detect_stream(self.detector.predict, items, self.detector.cfg, load, finish, follow)

    def _path(self, stem, suffix):
        return os.path.join(self.output, stem + suffix)

    def _to_coco(self, image_id, detections):
        cfg = self.detector.cfg.DATA
        return detections_to_coco(image_id, detections, cfg.CATEGORY_IDS, cfg.CLASS_NAMES)

    def _fail(self, error):
        warn(str(error))
        self.num_failed += 1


@contextlib.contextmanager
def any_failure_of(path):
    """A context in which whatever goes wrong is a UserError, so that it ends the work on one input only."""
    try:
        yield
    except UserError:
        raise
    except Exception as e:
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise UserError(f"{path}: cannot be read, drawn or written ({reason}); leave it out, or convert it") from e


def write_picture(path, picture):
    """
    Write a PNG file whole or not at all.

    Args:
        path (str)
        picture: uint8 (h, w, 3), BGR

    Raises:
        UserError: it cannot be written
    """
    written, content = cv2.imencode(".png", picture)
    if not written:
        height, width = picture.shape[:2]
        raise UserError(f"cannot write {path}: a picture of {width} x {height} pixels is too large")
    with whole_file(path, "wb") as f:
        f.write(content)
