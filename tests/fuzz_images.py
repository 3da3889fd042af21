"""
Breaks image files by chance, and reads them: `make fuzz`, or

    PYTHONPATH=. python tests/fuzz_images.py --cases 5000 --seed 0

Each must give an image, or be refused in one line. Another exception, more than some seconds or two gibibytes, and the
end of the process are failures. A case follows from the seed and its number, so `--first 1234 --cases 1` tries one
again.
"""
import functools
import os
import struct
import traceback
import zlib

from common import UserError

import numpy as np

import data
import fuzzing
from image_kinds import kinds

BORDERS = (0, 1, 65, 30_000, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
SECONDS, BYTES = 60, 2**31    # that a case may take: on a busy machine many, where half a gigapixel is filled
NAMES = list(kinds())


# how a file is broken -----------------------------------------------------------------------------------------------
def change_bytes(content, rng):
    for _ in range(int(rng.integers(1, 5))):
        content[_place(content, rng)] = int(rng.integers(256))
    return content


def change_number(content, rng):
    """A number becomes one at the border of what fits, of 1, 2 or 4 bytes"""
    width = int(rng.choice([1, 2, 4]))
    place, value = _place(content, rng), int(rng.choice(BORDERS))
    number = struct.pack(">I", value)[-width:] if rng.random() < 0.5 else struct.pack("<I", value)[:width]
    content[place:place + width] = number
    return content


def cut(content, rng):
    return content[:int(rng.integers(len(content)))]


def remove(content, rng):
    place = _place(content, rng)
    del content[place:place + int(rng.integers(1, 64))]
    return content


def insert(content, rng):
    place = _place(content, rng)
    content[place:place] = rng.bytes(int(rng.integers(1, 64)))
    return content


def repeat(content, rng):
    """A part of the file stands at another place, too"""
    start, place = _place(content, rng), _place(content, rng)
    content[place:place] = content[start:start + int(rng.integers(1, 200))]
    return content


def mix(content, rng):
    """The rest of the file is another's"""
    other = kinds()[NAMES[int(rng.integers(len(NAMES)))]].content
    return content[:_place(content, rng)] + other[_place(other, rng):]


BREAKS = (change_bytes, change_bytes, change_number, change_number, cut, remove, insert, repeat, mix)


def _place(content, rng):
    """A place in the file, in half of the cases in its first 200 bytes, where its header is"""
    return int(rng.integers(max(1, len(content) if rng.random() < 0.5 else min(200, len(content)))))


def with_checksums(content):
    """A PNG with the checksum of each chunk made right, as else nothing broken in it is ever looked at"""
    content, place = bytearray(content), 8
    while place + 12 <= len(content):
        length, = struct.unpack_from(">I", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[place + 4:end]))
        place = end + 4
    return content


def mutate(content, rng):
    """Returns: bytes of a file that is broken in one way, or two"""
    for _ in range(1 + (rng.random() < 0.3)):
        content = BREAKS[int(rng.integers(len(BREAKS)))](bytearray(content), rng)
    if content[:4] == b"\x89PNG" and rng.random() < 0.7:
        content = with_checksums(content)
    return bytes(content)


# cases --------------------------------------------------------------------------------------------------------------
class Fuzzer:
    """
    Args:
        folder (pathlib.Path): for the files of cases
        seed (int)
    """

    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed

    def run(self, number):
        """
        Returns:
            str, the name of the kind, and "read", "refused", or else what went wrong
        """
        rng = np.random.default_rng([self.seed, number])
        name = NAMES[number % len(NAMES)]
        path = self.folder / "image"
        path.write_bytes(mutate(kinds()[name].content, rng))
        try:
            return name, outcome_of_image(data.load_image(str(path)))
        except UserError as e:
            return name, "refused" if "\n" not in str(e) and len(str(e)) < 2000 else f"not one line: {e}"
        except BaseException:    # noqa: B902  (a failure of any kind is one)
            return name, traceback.format_exc()


def outcome_of_image(image):
    is_image = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    return "read" if is_image else f"{image.dtype} of shape {image.shape}"


def run_all(seed, numbers):
    """Yields: (number, name, outcome) of all cases, see `fuzzing.run_all`"""
    return fuzzing.run_all(functools.partial(Fuzzer, seed=seed), NAMES, numbers, SECONDS, BYTES)


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)    # for what libraries print of broken files
    fuzzing.main(run_all, NAMES, num_cases=5_000)
