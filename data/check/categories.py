"""What can be wrong with the categories of data sets, and between those that are trained and evaluated on."""
import collections

import numpy as np


def check_categories(splits):
    """
    Args:
        splits (list[Split]): at least one

    Returns:
        list[Problem]
    """
    rules = _like_names, _different_lists, _unused, _in_one_half, _images_in_both
    return [problem for rule in rules for problem in rule(splits)]


def _like_names(splits):
    for split in splits:
        ids = collections.defaultdict(list)
        for category_id, name in zip(split.dataset.category_ids, split.dataset.class_names):
            ids["".join(name.split()).lower()].append((category_id, name))
        for same in ids.values():
            if len(same) > 1:
                named = " and ".join(f"{category_id} {name!r}" for category_id, name in same)
                yield split.set_problem("category-names", f"categories {named} have the same name")


def _different_lists(splits):
    first = splits[0]
    for split in splits[1:]:
        both = [dict(zip(s.dataset.category_ids, s.dataset.class_names)) for s in (first, split)]
        for owner, other, has, lacks in ((first, split, *both), (split, first, *both[::-1])):
            for category_id in sorted(has.keys() - lacks.keys()):
                yield owner.set_problem("category-one-set", f"category {category_id} {has[category_id]!r} is not in "
                                        f"{other.dataset.annotation_file}")
        for category_id in sorted(both[0].keys() & both[1].keys()):
            names = [ids[category_id] for ids in both]
            if names[0] != names[1]:
                yield split.set_problem("category-one-set", f"category {category_id} is {names[1]!r}, but {names[0]!r} "
                                        f"in {first.dataset.annotation_file}")


def class_counts(splits):
    """Returns: collections.Counter of (category id, name) to how many objects that are no crowd the splits have"""
    counts = collections.Counter()
    for split in splits:
        dataset = split.dataset
        counts.update(dict(zip(zip(dataset.category_ids, dataset.class_names), split.class_counts.tolist())))
    return counts


def _unused(splits):
    counts = class_counts(splits)
    for split in splits:
        if split.dataset.has_ground_truth and len(split.images):
            for key in zip(split.dataset.category_ids, split.dataset.class_names):
                if counts.get(key) == 0:
                    yield split.set_problem("category-unused", f"category {key[0]} {key[1]!r} has no object")
                    counts[key] = -1    # said once


def _in_one_half(splits):
    """Classes with objects in the training alone, or in the evaluation alone."""
    train = [split for split in splits if split.is_train]
    val = [split for split in splits if not split.is_train and split.dataset.has_ground_truth]
    for kind, owners, others, what in (("class-not-trained", val, train, "evaluated and never trained on"),
                                       ("class-not-evaluated", train, val, "trained on and never evaluated")):
        if not any(len(split.images) for split in owners) or not any(len(split.images) for split in others):
            continue
        there = class_counts(others)
        for (category_id, name), count in class_counts(owners).items():
            # a category that is not even listed there is said elsewhere
            if count and there.get((category_id, name)) == 0:
                yield owners[0].set_problem(
                    kind, f"class {name!r}, category {category_id}, with {count} objects, is {what}")


def _images_in_both(splits):
    """Files that a data set to train on and one to evaluate on share."""
    trained = {split.records.file_name(number): (split, number) for split in splits if split.is_train
               for number in range(len(split.records))}
    for split in splits:
        for number in range(len(split.records)):
            other, same = trained.get(split.records.file_name(number), (split, number))
            if other.is_train and not split.is_train:
                yield split.image_problem("image-in-two-sets", number, f"image {other.records.image_ids[same]} of "
                                          f"{other.dataset.annotation_file}, which is trained on, is the same file")


def histogram(splits):
    """
    Returns: list of ((category id, name), int64 (splits,) counts of objects that are no crowd), in the order of the ids
    """
    counts = [class_counts([split]) for split in splits]
    keys = sorted({key for count in counts for key in count})
    return [(key, np.array([count.get(key, 0) for count in counts])) for key in keys]
