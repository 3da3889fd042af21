"""Trains on records of your own: `python -m docs.own_records --config DATA.BASEDIR=FOLDER DATA.TRAIN=my_train …`."""
import csv
import itertools
import sys

import data
import train


def load(folder, name):
    """FOLDER/NAME.csv has lines of image, height, width, class, x1, y1, x2, y2; those of an image are together"""
    with open(f"{folder}/{name}.csv", newline="") as f:
        images = [(key, list(rows)) for key, rows in itertools.groupby(csv.reader(f), key=lambda row: row[:3])]
    records = [data.Record.of_boxes(f"{folder}/{file}", number, int(height), int(width), [row[4:] for row in rows],
                                    [int(row[3]) for row in rows])
               for number, ((file, height, width), rows) in enumerate(images)]
    return data.Dataset(name, ("cat", "dog"), (1, 2), f"{folder}/{name}.csv", records)


data.register("my_train", load)
data.register("my_val", load)

if __name__ == "__main__":
    train.main(sys.argv[1:])    # takes all that ./train.py takes, such as MODE_MASK=False
