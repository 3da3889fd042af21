"""What only the json file of a data set knows: the ids of its annotations."""
import collections

from data.coco_files import read_json
from data.records import Problem


def with_annotation_ids(problems, path):
    """
    Args:
        problems (list[Problem]): of the objects and images of one data set in COCO's format
        path (str): of its json file

    Returns:
        list[Problem]: the same, those of objects with the id of their annotation in place of their number; and one for
        each annotation that has the id of another
    """
    annotations = [fields for fields in read_json(path)["annotations"] if isinstance(fields, dict)]
    images = {problem.image_id for problem in problems if problem.item.startswith("object ")}
    ids = collections.defaultdict(list)
    for fields in annotations:
        image_id, bbox = fields.get("image_id"), fields.get("bbox")
        if isinstance(image_id, int) and image_id in images and _is_box(bbox):
            ids[(image_id, *bbox)].append(fields.get("id"))
    return [_with_id(problem, ids) for problem in problems] + list(_ids_twice(annotations, path))


def _is_box(bbox):
    return isinstance(bbox, list) and all(isinstance(value, (int, float)) for value in bbox)


def _with_id(problem, ids):
    found = ids.get((problem.image_id, *problem.bbox)) if problem.item.startswith("object ") else None
    # of objects with the same box the later one is meant
    return problem._replace(item=f"annotation {found[-1]} of image {problem.image_id}") if found else problem


def _ids_twice(annotations, path):
    seen = set()
    for fields in annotations:
        annotation_id = fields.get("id")
        if isinstance(annotation_id, (int, str)) and annotation_id in seen:
            yield Problem("annotation-id-twice", path, f"annotation {annotation_id} of image {fields.get('image_id')}",
                          "its id appears twice", fields.get("image_id"), fields.get("bbox"))
        elif isinstance(annotation_id, (int, str)):
            seen.add(annotation_id)
