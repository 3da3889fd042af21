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
        each annotation that has the id of another, or another number of keypoints than it says
    """
    annotations = [fields for fields in read_json(path)["annotations"] if isinstance(fields, dict)]
    images = {problem.image_id for problem in problems if problem.item.startswith("object ")}
    ids = collections.defaultdict(list)
    for fields in annotations:
        image_id, bbox = fields.get("image_id"), fields.get("bbox")
        if isinstance(image_id, int) and image_id in images and _is_box(bbox):
            ids[(image_id, *bbox)].append(fields.get("id"))
    return [_with_id(problem, ids) for problem in problems] + [*_ids_twice(annotations, path),
                                                               *_wrong_counts(annotations, path)]


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
            yield _problem("annotation-id-twice", path, fields, "its id appears twice")
        elif isinstance(annotation_id, (int, str)):
            seen.add(annotation_id)


def _wrong_counts(annotations, path):
    for fields in annotations:
        keypoints, said = fields.get("keypoints") or [], fields.get("num_keypoints")
        if not isinstance(keypoints, list) or not isinstance(said, int):
            continue
        labelled = sum(value in (1, 2) for value in keypoints[2::3])
        if said != labelled:
            yield _problem("keypoint-count", path, fields,
                           f"num_keypoints is {said}, and {labelled} of its keypoints are labelled")


def _problem(kind, path, fields, text):
    return Problem(kind, path, f"annotation {fields.get('id')} of image {fields.get('image_id')}", text,
                   fields.get("image_id"), fields.get("bbox"))
