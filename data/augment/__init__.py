"""
Augmentation of training images, on NumPy arrays: what is seen of an image, and of its objects.

    policy (what is drawn) -> crop (windows) -> view (pixels, boxes, keypoints) -> objects -> paste -> colour
"""
from data.augment.colour import ColourRange, Colours
from data.augment.objects import CROWD_LABEL, Objects, see_objects
from data.augment.paste import Scene, choose_objects, paste
from data.augment.policy import Policy, make_policy
from data.augment.view import View, mirror_partners

__all__ = ["CROWD_LABEL", "ColourRange", "Colours", "Objects", "Policy", "Scene", "View", "choose_objects",
           "make_policy", "mirror_partners", "paste", "see_objects"]
