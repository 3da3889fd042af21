"""Every kind of problem that a data set can have: its name, what is wrong, and what to do about it."""
from typing import NamedTuple


class Kind(NamedTuple):
    """
    Attributes:
        title: what is wrong
        remedy: what to do
    """

    title: str
    remedy: str


KINDS = {
    # images, as annotated
    "image-id": Kind("the id of an image is not a whole number", "number the images"),
    "image-id-twice": Kind("two images have one id", "give each image an id of its own"),
    "image-size": Kind("an image has no height and width", "write its pixels into the annotations"),
    "image-name": Kind("an image has no file name", "name its file"),
    "image-outside-folder": Kind("a file name leads out of the data set's folder", "move the file into the folder"),
    "image-missing": Kind("the file of an image is not there", "fetch the file, or take the image out"),
    "file-twice": Kind("two images name one file", "join their annotations in one image"),
    "no-images": Kind("a data set has no images", "see that it is the right file"),
    # images, opened
    "image-unreadable": Kind("an image file cannot be read", "replace the file, or take the image out"),
    "image-other-size": Kind("an image has another size than annotated", "annotate this file, or write its true size"),
    "image-turned": Kind("an image is turned or mirrored by its EXIF note",
                         "see in the picture whether its objects are where they should be, and store it upright"),
    "image-twice": Kind("two images of a data set have the same pixels", "take one of them out"),
    "image-in-two-sets": Kind("an image is both trained and evaluated on", "take it out of one of the data sets"),
    # annotations
    "annotation-form": Kind("an annotation is not an object of json", "mend the file"),
    "annotation-id-twice": Kind("two annotations have one id", "give each annotation an id of its own"),
    "annotation-image": Kind("an annotation is of an image that is not there", "correct its image_id, or take it out"),
    "annotation-crowd": Kind("iscrowd is neither 0 nor 1", "write 1 for a region of many objects, else 0"),
    "object-twice": Kind("an object is annotated twice", "take one of the two out"),
    "object-tiny": Kind("an object is less than a pixel wide or high", "correct its box, or take it out"),
    "no-objects": Kind("a data set has no objects", "annotate some, or see that it is the right file"),
    "area": Kind("the area of an object is not a number", "write its square pixels, or leave it out"),
    "area-implausible": Kind("the area of an object is not positive, or larger than its box",
                             "write the square pixels of its mask, or leave it out"),
    # boxes
    "box-form": Kind("a box is not four numbers", "write x, y, width and height"),
    "box-empty": Kind("a box has no width or no height", "correct the box, or take the object out"),
    "box-outside": Kind("a box is outside of its image", "see that it is in pixels, and of this image"),
    "box-leaves-image": Kind("a box leaves its image by more than a pixel",
                             "clip it, or see that it is in pixels, and of this image"),
    "boxes-relative": Kind("all boxes lie within 0..1", "multiply them by the width and height of their image"),
    "boxes-corners": Kind("boxes look like x1, y1, x2, y2", "write x, y, width and height"),
    # masks
    "mask-form": Kind("a segmentation is neither polygons nor an RLE", "write a list of polygons, or an RLE"),
    "mask-empty": Kind("a mask has no pixel", "draw it again, or leave the segmentation out"),
    "mask-leaves-box": Kind("a mask leaves its box by more than two pixels", "make the box that of the mask"),
    "mask-misses-box": Kind("a mask spans less than a quarter of its box", "make the box that of the mask"),
    "no-mask": Kind("an object has no mask, so masks cannot learn from it",
                    "add the segmentation, or set MODE_MASK=False"),
    "polygon-points": Kind("a polygon has fewer than 3 points", "draw it again, or take it out"),
    "polygon-corner": Kind("a corner of a polygon is not a number, or far outside", "draw it again"),
    "rle-size": Kind("an RLE has another size than its image", "encode the mask at the size of the image"),
    "rle-counts": Kind("the counts of an RLE do not add up", "encode the mask again"),
    # keypoints
    "keypoint-outside": Kind("a labelled keypoint is outside of its image", "correct it, or set its visibility to 0"),
    "keypoint-leaves-box": Kind("a labelled keypoint is outside of its box by more than half of its longer edge",
                                "correct it, or see that it is of this object"),
    "keypoint-origin": Kind("a labelled keypoint is at 0, 0", "set its visibility to 0 if nobody placed it there"),
    "keypoint-count": Kind("num_keypoints is not the number of labelled keypoints",
                           "write how many have a visibility of 1 or 2"),
    "keypoints": Kind("a keypoint is far outside, or its visibility is not 0, 1 or 2",
                      "correct it, or set its three numbers to 0"),
    "keypoints-form": Kind("the keypoints of an object are not three numbers each",
                           "write x, y and visibility of all keypoints of the category"),
    # categories
    "category-unknown": Kind("an object has a category that is not listed", "list the category, or correct the object"),
    "category-unused": Kind("a category has no object in any data set", "take it out, or annotate objects of it"),
    "category-one-set": Kind("data sets list different categories", "give all data sets the same ids and names"),
    "category-names": Kind("two categories have the same name but for case and spaces", "join them in one category"),
    "class-not-trained": Kind("a class is evaluated and never trained on", "move some of its images to the training"),
    "class-not-evaluated": Kind("a class is trained on and never evaluated", "move some of its images to validation"),
    "class-no-keypoints": Kind("a category lists keypoints, and no object of it has one labelled",
                               "annotate them, or take them out of the category"),
    "unusable": Kind("something cannot be used", "see its text"),
}
