"""A video of moving shapes, and a stand-in for a network that looks at its frames."""
import cv2
import numpy as np

from inference import video
from inference.predictor import NetworkOutput

SIZE = 240, 320
GREYS = (45, 80, 115, 150, 185, 220)    # one shape has each, so that it can be told from the others


def draw_frames(num_frames, seed=0):
    """Yields: uint8 (240, 320, 3), disks and squares that move straight on, bounce, and cover each other"""
    rng = np.random.default_rng(seed)
    limits, radii = np.array(SIZE[::-1]), rng.uniform(12, 22, len(GREYS))
    places = rng.uniform(radii[:, None], limits - radii[:, None])
    speeds = rng.uniform(1, 3.5, places.shape) * rng.choice([-1, 1], places.shape)
    for _ in range(num_frames):
        frame = np.zeros((*SIZE, 3), np.uint8)
        for i, radius in enumerate(radii.round().astype(int).tolist()):
            center = tuple(places[i].round().astype(int).tolist())
            if i % 2:
                cv2.circle(frame, center, radius, (GREYS[i],) * 3, cv2.FILLED)
            else:
                cv2.rectangle(frame, np.subtract(center, radius), np.add(center, radius), (GREYS[i],) * 3, cv2.FILLED)
        yield frame
        places += speeds
        outside = (places < radii[:, None]) | (places > limits - radii[:, None])
        speeds[outside] *= -1
        places = np.clip(places, radii[:, None], limits - radii[:, None])


def write_video(path, num_frames):
    with video.VideoWriter(str(path), 25.0) as writer:
        for frame in draw_frames(num_frames):
            writer.write(frame)
    return str(path)


class SeesGreys:
    """
    A network that finds what can be seen of each shape, all as one class, a pixel or two off, and misses some.

    Attributes:
        found (list): of each image, which of the shapes its detections are
    """

    def __init__(self, miss=0.1, seed=0):
        self._rng, self._miss, self.found = np.random.default_rng(seed), miss, []

    def __call__(self, images, image_sizes):
        boxes, masks, image_index = [], [], []
        for number, image in enumerate(images):
            self.found.append([])
            for shape, grey in enumerate(GREYS):
                visible = np.abs(image[:, :, 0].astype(int) - grey) < 14
                visible = cv2.erode(visible.astype(np.uint8), np.ones((3, 3)))    # edges of others are grey too
                if visible.sum() > 80 and self._rng.random() >= self._miss:
                    x, y, w, h = cv2.boundingRect(visible)
                    masks.append(cv2.resize(visible[y:y + h, x:x + w].astype(np.float32), (28, 28)))
                    boxes.append(np.array([x, y, x + w, y + h]) + self._rng.uniform(-1.5, 1.5, 4))
                    image_index.append(number)
                    self.found[-1].append(shape)
        n = len(boxes)
        return NetworkOutput(np.float32(boxes).reshape(-1, 4), np.full(n, 0.9, np.float32), np.full(n, 2),
                             np.array(image_index, int), np.float32(masks).reshape(-1, 28, 28))


def share_kept(tracks):
    """
    Args:
        tracks (dict): of each object to the numbers that it had, frame by frame

    Returns:
        float, share of frames in which an object has the number that it has most often; a number counts for the object
        alone that has it most often
    """
    counts = sorted(((numbers.count(n), n, shape) for shape, numbers in tracks.items() for n in set(numbers)),
                    reverse=True)
    kept, taken, done = 0, set(), set()
    for count, number, shape in counts:
        if number not in taken and shape not in done:
            kept, taken, done = kept + count, taken | {number}, done | {shape}
    return kept / sum(map(len, tracks.values()))
